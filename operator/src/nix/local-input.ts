// Finds inputs that name files of the computer that fetches them, mounted Secrets for instance: what is built must not get them.

import { parseJson } from '@floe/crds/json';

/** An input that must not be fetched. */
export type LocalInput = { readonly name: string; readonly path: string };

type Node = { readonly locked?: Readonly<Record<string, unknown>> };

/**
 * The first input of a lock file that is an absolute path, or a single file by a file:// address. Paths within the source
 * (`./modules`) are relative in a lock, and `own` is where inline files lie. A git repository on a shared volume may be an
 * input: no Secret is one.
 */
export function localInput(lock: string, own: string | undefined): LocalInput | undefined {
  const { nodes } = (parseJson(lock) ?? {}) as { nodes?: Record<string, Node> };
  for (const [name, { locked }] of Object.entries(nodes ?? {})) {
    const path = typeof locked !== 'object' || locked === null ? undefined : pathOf(locked);
    if (path !== undefined && path !== own) return { name, path };
  }
  return undefined;
}

function pathOf({ type, path, url }: Readonly<Record<string, unknown>>): string | undefined {
  if (type === 'path') return typeof path === 'string' && path.startsWith('/') ? path : undefined;
  if (type === 'git' || type === 'hg') return undefined;
  return typeof url === 'string' && /^(\w+\+)?file:/i.test(url) ? url.replace(/^(\w+\+)?file:(\/\/)?/i, '') : undefined;
}
