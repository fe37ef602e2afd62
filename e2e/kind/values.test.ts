// The chart as the demo in kind renders it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { chart, helm } from '../../charts/helm.ts';
import { helmValues } from '../src/helm-values.ts';
import { hubUrl, kindValues } from './values.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: unknown;
}

const NODE = '172.18.0.2';

async function rendered(): Promise<Manifest[]> {
  const dir = await mkdtemp(join(tmpdir(), 'floe-kind-'));
  try {
    const files = [helmValues('localhost/floe-operator:abc'), kindValues(NODE)].map(async (values, index) => {
      const file = join(dir, `${index}.json`);
      await writeFile(file, JSON.stringify(values));
      return ['-f', file];
    });
    const text = await helm('template', 'floe', chart, '-n', 'floe-system', ...(await Promise.all(files)).flat());
    return parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

test('machines reach hub and cache at ports of the node, and the image is the one that was loaded', async () => {
  const manifests = await rendered();
  const find = (kind: string, name: string): Manifest | undefined =>
    manifests.find((one) => one.kind === kind && one.metadata.name === name);
  expect(find('Service', 'floe-hub')?.spec).toMatchObject({ type: 'NodePort', ports: [{ nodePort: 30443 }] });
  expect(find('Service', 'floe-cache')?.spec).toMatchObject({ type: 'NodePort', ports: [{ nodePort: 30080 }] });
  expect(hubUrl(NODE)).toBe(`https://${NODE}:30443`);
  const operator = JSON.stringify(find('Deployment', 'floe-operator')?.spec);
  expect(operator).toContain('"image":"localhost/floe-operator:abc","imagePullPolicy":"Never"');
  expect(operator).toContain(`http://${NODE}:30080`);
});
