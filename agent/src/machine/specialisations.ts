// The specialisations of a closure: variants of it that count as the closure itself.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Specialisation } from '../attempt/outcome.ts';
import { readStoreLink } from './store-link.ts';

/** The closure and its specialisations, as store paths. */
export async function familyOf(closure: string): Promise<string[]> {
  const folder = join(closure, 'specialisation');
  const names = await readdir(folder).catch(() => []);
  const paths = await Promise.all(names.map((name) => readStoreLink('/', join(folder, name))));
  return [closure, ...paths.filter((path) => path !== undefined)];
}

/** Store path of a specialisation; undefined where the closure has none of that name. */
export async function specialisationOf(closure: string, name: string): Promise<string | undefined> {
  const folder = join(closure, 'specialisation');
  if (!(await readdir(folder).catch((): string[] => [])).includes(name)) return undefined;
  // A folder that is no link lies in the closure itself.
  return (await readStoreLink('/', join(folder, name))) ?? closure;
}

/** Which of the closures has the system among its specialisations, and under which name. */
export async function parentOf(
  system: string | undefined,
  closures: readonly (string | undefined)[],
): Promise<Specialisation | undefined> {
  if (system === undefined || closures.includes(system)) return undefined;
  for (const closure of new Set(closures)) {
    if (closure === undefined) continue;
    const folder = join(closure, 'specialisation');
    for (const name of await readdir(folder).catch(() => [])) {
      if ((await readStoreLink('/', join(folder, name))) === system) return { closure, name };
    }
  }
  return undefined;
}
