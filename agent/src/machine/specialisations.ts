// The specialisations of a closure: variants of it that count as the closure itself.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readStoreLink } from './store-link.ts';

/** The closure and its specialisations, as store paths. */
export async function familyOf(closure: string): Promise<string[]> {
  const folder = join(closure, 'specialisation');
  const names = await readdir(folder).catch(() => []);
  const paths = await Promise.all(names.map((name) => readStoreLink('/', join(folder, name))));
  return [closure, ...paths.filter((path) => path !== undefined)];
}
