// Files of a closure that name its parts, switch-inhibitors and reboot-triggers: read with tolerance, compared by key.
import { readFile } from 'node:fs/promises';

/** What of it is read; the files have a dozen entries. */
const MAX_CHARACTERS = 1_000_000;

/** The texts of a JSON object by key; undefined for anything else, such as the plain list that early versions wrote. */
export function parseKeys(content: string): ReadonlyMap<string, string> | undefined {
  if (content.length > MAX_CHARACTERS) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value).map(([key, one]) => [key, typeof one === 'string' ? one : JSON.stringify(one)]));
}

/** Reads such a file; undefined where there is none, or it is no JSON object. */
export async function readKeys(path: string): Promise<ReadonlyMap<string, string> | undefined> {
  const content = await readFile(path, 'utf8').catch(() => undefined);
  return content === undefined ? undefined : parseKeys(content);
}

/** Keys that both have, with different values, sorted: a part that only one of them names says nothing. */
export function changedKeys(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  return [...one].flatMap(([key, value]) => (other.has(key) && other.get(key) !== value ? [key] : [])).sort();
}
