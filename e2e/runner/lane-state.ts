// What the process that makes the lanes tells those that run scenarios in them: a file for each lane.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cached } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';

type LaneState = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly why: string };

/** Every lane before it is made, and the host's other work. */
const PATIENCE_SECONDS = 900;

const file = (name: string): string => cached('lanes', `${name}.json`);

/** Says that the lane of that cluster is ready, or why it can't be made. */
export async function sayLane(name: string, state: LaneState): Promise<void> {
  await mkdir(dirname(file(name)), { recursive: true });
  await writeFile(file(name), JSON.stringify(state));
}

/** No word of that lane is left, also none of an earlier process with the same number. */
export async function forgetLane(name: string): Promise<void> {
  await rm(file(name), { force: true });
}

/** Waits until the lane of that cluster is ready. @throws the reason where it can't be made */
export async function laneIsReady(name: string): Promise<void> {
  const state = await waitUntil(
    async () => {
      const text = await readFile(file(name), 'utf8').catch(() => '');
      return text === '' ? undefined : (JSON.parse(text) as LaneState);
    },
    { what: `the cluster ${name} of this lane to be made`, everySeconds: 0.5, timeoutSeconds: PATIENCE_SECONDS },
  );
  if (state.kind === 'failed') throw new Error(`the lane's cluster ${name} could not be made: ${state.why}`);
}
