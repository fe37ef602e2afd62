// Reading small files of a boot loader, and the closure that a kernel command line names.
import { readFile, stat } from 'node:fs/promises';
import { closureOf } from '../store-link.ts';

/** What the next boot starts, by one loader's own files. */
export type LoaderSays = {
  readonly loader: string;
  /** Absent where its files don't say it. */
  readonly closure?: string;
  /** When its configuration was written: NixOS writes the one in use with each switch. */
  readonly writtenAtMs: number;
  /** False where the loader's rules are not known well enough to be sure. */
  readonly verified: boolean;
};

/** What a loader says whose configuration is in this file. */
export async function sayOf(
  config: string,
  says: Omit<LoaderSays, 'writtenAtMs' | 'closure'>,
  closure: string | undefined,
): Promise<LoaderSays> {
  const written = await stat(config).catch(() => undefined);
  return { ...says, writtenAtMs: written?.mtimeMs ?? 0, ...(closure === undefined ? {} : { closure }) };
}

/** Content of a file; undefined where there is none. */
export async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

/** The closure in a kernel command line: the folder of its `init=`. */
export function closureOfOptions(text: string): string | undefined {
  return closureOf(/(?:^|[\s"'])init=(\S+)/m.exec(text)?.[1] ?? '');
}
