// `floe-agent release`: ends the hold of what was activated by hand; the agent then goes back to what Floe ordered.
import type { Held } from '@floe/crds/drift';
import { diskFiles } from '../journal/files.ts';
import { heldOf, learn, NO_TRUTH } from '../truth/truth.ts';
import { TruthFile } from '../truth/truth-file.ts';
import type { World } from './compose.ts';

/** Asks the agent to end the hold and returns what was held; undefined where nothing is. */
export async function runRelease({ ledger, paths }: Pick<World, 'ledger' | 'paths'>): Promise<Held | undefined> {
  const file = new TruthFile(diskFiles, paths.state);
  const [journal, stored] = await Promise.all([ledger.refresh(), file.load()]);
  // The agent may not have taken in the last attempt yet.
  const held = heldOf(learn(stored?.truth ?? NO_TRUTH, journal, stored?.seen).truth);
  if (held !== undefined) await file.askRelease();
  return held;
}

/** What was done, for people. */
export function describeRelease(held: Held | undefined): string {
  if (held === undefined) return 'Nothing that was activated by hand is held here.\n';
  return `${held.closure} is no longer held; the agent goes back to what Floe ordered. floe-agent status tells how far it is.\n`;
}
