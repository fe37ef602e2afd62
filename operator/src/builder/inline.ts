// Writes the files of an inline source to the volume.
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildFailure } from './failure.ts';

/** Why a name can't be a file of the flake; undefined when it can. */
export function wrongFileName(name: string): string | undefined {
  if (name === '' || name.length > 512 || name.includes('\0')) return 'is empty or too long';
  const parts = name.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    return 'must be a relative path without "." and ".."';
  if (parts[0] === '.git') return 'must not lie in .git';
  return undefined;
}

/**
 * Writes the files into an empty folder, with fixed times so that the same files are the same source.
 * @throws BuildFailure that names the file
 */
export async function writeInline(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const folders = new Set([folder]);
  for (const [name, text] of Object.entries(files)) {
    const wrong = wrongFileName(name);
    if (wrong !== undefined) {
      throw new BuildFailure(`the file name "${name.slice(0, 100)}" ${wrong}`, {
        field: 'spec.source.inline.files',
        remedy: 'give the file another name',
      });
    }
    const path = join(folder, name);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text, { flag: 'wx' });
    } catch (cause) {
      throw new BuildFailure(
        `the file "${name.slice(0, 100)}" can't be written: ${cause instanceof Error ? cause.message : ''}`,
        {
          field: 'spec.source.inline.files',
          remedy: 'no file may bear the name of a folder of another one',
          cause,
        },
      );
    }
    await utimes(path, 1, 1);
    for (let above = dirname(path); above !== folder; above = dirname(above)) folders.add(above);
  }
  for (const made of folders) await utimes(made, 1, 1);
}
