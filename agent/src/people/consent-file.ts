// Keeps the newest answer of the users across restarts of agent and machine.
import { join } from 'node:path';
import type { ConsentStatus } from '@floe/crds/consent';
import type { Files } from '../journal/files.ts';
import type { PeopleParts } from './people.ts';

const STATES: readonly string[] = ['Asked', 'Approved', 'Deferred'];

/** A file `consent.json` in the agent's state; one that can't be read counts as none: it is asked again. */
export function consentFile(files: Files, folder: string): PeopleParts['store'] {
  const path = join(folder, 'consent.json');
  return {
    async load() {
      const content = await files.read(path);
      return content === undefined ? undefined : parse(content.toString('utf8'));
    },
    async save(consent) {
      await files.makeFolder(folder);
      await files.writeSynced(`${path}.new`, Buffer.from(JSON.stringify(consent)));
      await files.rename(`${path}.new`, path);
      await files.syncFolder(folder);
    },
  };
}

function parse(text: string): ConsentStatus | undefined {
  try {
    const { desiredId, state, until, at } = JSON.parse(text) as Record<string, unknown>;
    if (typeof desiredId !== 'string' || typeof at !== 'string' || !STATES.includes(String(state))) return undefined;
    const kept = { desiredId, state: state as ConsentStatus['state'], at };
    return typeof until === 'string' ? { ...kept, until } : kept;
  } catch {
    return undefined;
  }
}
