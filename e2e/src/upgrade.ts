// Changes the settings of a running installation as an administrator does, with `helm upgrade`.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectDir } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { type Installation, SYSTEM } from './installation.ts';

type Pods = { readonly items: readonly { readonly metadata: { readonly deletionTimestamp?: string } }[] };

/** Merges the values into those of the release, and returns when only operators with these are left. */
export async function upgrade(floe: Installation, values: object): Promise<void> {
  const { cluster } = floe;
  const file = join(cluster.dir, 'upgrade.json');
  await writeFile(file, JSON.stringify(values));
  const chart = join(projectDir, 'charts/floe');
  await cluster.helm(
    ['upgrade', 'floe', chart, '-n', SYSTEM, '--reuse-values', '-f', file, '--wait', '--timeout', '4m'],
    { timeoutSeconds: 270 },
  );
  // One that is on its way out may still lead, with the settings there were.
  const pods = ['-n', SYSTEM, 'get', 'pods', '-l', 'app.kubernetes.io/component=operator', '-o', 'json'];
  await waitUntil(
    async () => {
      const { items } = JSON.parse(await cluster.kubectl(pods)) as Pods;
      return items.length === 2 && items.every(({ metadata }) => metadata.deletionTimestamp === undefined);
    },
    { what: 'the operators with the settings before to be gone', everySeconds: 0.5, timeoutSeconds: 90 },
  );
}
