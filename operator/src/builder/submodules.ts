// Says so where a machine lacks a file that lies in a git submodule: the source was fetched without it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders of the submodules of a source that was fetched; empty where it has none. */
export async function submodulesOf(source: string): Promise<readonly string[]> {
  const text = await readFile(join(source, '.gitmodules'), 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => /^\s*path\s*=\s*(\S.{0,500})$/.exec(line)?.[1]?.trim() ?? []);
}

/** The message, with its cause where the file that is missing lies in one of these submodules. */
export function withSubmodule(message: string, submodules: readonly string[]): string {
  const missing = /path '(?:[^'\n]{0,500}-source\/)?([^'\n]{1,500})' does not exist/.exec(message)?.[1];
  const folder = submodules.find((each) => missing === each || missing?.startsWith(`${each}/`) === true);
  if (folder === undefined) return message;
  return `${message}; ${folder} is a git submodule, which is not fetched: use spec.source.flake with git+URL?submodules=1`;
}
