// Keeps Floe's own Secrets of a namespace out of the containers that fetch: what a source names goes to servers.
import { CACHE_SECRET, SIGNING_KEY_SECRET } from '@floe/crds/constants';
import type { Problem } from './source.ts';

const OWN: readonly string[] = [SIGNING_KEY_SECRET, CACHE_SECRET];

/** What is wrong with naming this Secret in that field; undefined where nothing is. */
export function ownSecret(field: string, name: string | undefined): Problem | undefined {
  if (name === undefined || !OWN.includes(name)) return undefined;
  const message = `${name} is Floe's own Secret, which no source may be fetched with`;
  const remedy = 'name a Secret that holds the credentials of the source alone';
  return { reason: 'InvalidSpec', field, message, remedy, transient: false };
}
