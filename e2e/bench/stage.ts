// Sets the stage of the rollout bench: the hub's certificate, the objects of the first revision, and each revision's release.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixConfig } from '@floe/crds/nix-config';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { KubeClient, MergePatch } from '@floe/operator/kube/client';
import { controllerRevisions, nixConfigs, nixMachines, type Resource, rollouts } from '@floe/operator/kube/resource';
import { generate } from 'selfsigned';
import { atOnce } from './at-once.ts';
import {
  builtStatus,
  configObject,
  machineObject,
  NAME,
  NAMESPACE,
  recordObjects,
  revisionId,
  rolloutObject,
} from './objects.ts';

/** What the calls go through. */
export type Calls = { readonly client: KubeClient; readonly signal: AbortSignal };

/** Objects that are created at once. */
const PARALLEL = 32;

/** A certificate for the hub's address, which is its own CA; returns where it and its key are. */
export async function makeCertificate(dir: string): Promise<{ certFile: string; keyFile: string }> {
  const [certFile, keyFile] = [join(dir, 'hub.crt'), join(dir, 'hub.key')];
  const pems = await generate([{ name: 'commonName', value: 'floe-hub' }], {
    keyType: 'ec',
    curve: 'P-256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  await writeFile(certFile, pems.cert);
  await writeFile(keyFile, pems.private, { mode: 0o600 });
  return { certFile, keyFile };
}

/** Creates everything that the first revision needs; the machines have the given keys. */
export async function createObjects(
  names: readonly string[],
  keys: Readonly<Record<string, string>>,
  { client, signal }: Calls,
): Promise<void> {
  const first = revisionId(1);
  await client.create(nixConfigs, configObject(), { signal });
  await createRecords(names, 1, { client, signal });
  await setRevision(first, { client, signal });
  await client.create(rollouts, rolloutObject(), { signal });
  await atOnce(names, PARALLEL, (name) =>
    client.create(nixMachines, machineObject(name, keys[name] ?? ''), { signal }),
  );
}

/** Stores the records of the n-th revision, as the operator does when a build is done. */
export async function createRecords(
  names: readonly string[],
  number: number,
  { client, signal }: Calls,
): Promise<void> {
  const resource = controllerRevisions as unknown as Resource<ControllerRevision>;
  for (const record of recordObjects(revisionId(number), names, { now: new Date(), number })) {
    await client.create(resource, record, { signal });
  }
}

/** Says in the config's status that the revision is built, which starts a run. */
export async function setRevision(revision: string, { client, signal }: Calls): Promise<void> {
  const patch = { status: builtStatus(revision, new Date()) } as unknown as MergePatch<NixConfig>;
  await client.mergePatch(nixConfigs, { namespace: NAMESPACE, name: NAME }, patch, { subresource: 'status', signal });
}
