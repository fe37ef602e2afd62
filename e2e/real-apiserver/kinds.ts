// Floe's kinds and namespaces in a real API server.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeClient } from '@floe/operator/kube/client';
import type { KubeObject } from '@floe/operator/kube/object';
import { nixMachines, type Resource } from '@floe/operator/kube/resource';
import { parse } from 'yaml';
import { projectDir } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';

const definitions: Resource = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const namespaceKind: Resource = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };

/** Creates the kinds and some namespaces; returns once the kinds answer. */
export async function installKinds(
  namespaces: readonly string[],
  { client, signal }: { client: KubeClient; signal: AbortSignal },
): Promise<void> {
  const folder = join(projectDir, 'crds', 'yaml-without-cel');
  for (const file of await readdir(folder)) {
    const definition = parse(await readFile(join(folder, file), 'utf8')) as KubeObject;
    await client.create(definitions, definition, { signal });
  }
  await waitUntil(async () => (await client.list(nixMachines, { signal })).length === 0, { what: 'the kinds' });
  for (const name of namespaces) {
    await client.create(namespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, { signal });
  }
}
