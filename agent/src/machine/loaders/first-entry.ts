// Loaders of which only the first NixOS entry is read: it is what NixOS makes the default, but their rules are not followed.
import { join } from 'node:path';
import { closureOfOptions, type LoaderSays, sayOf, textOf } from './boot-files.ts';

const FILES: readonly { readonly loader: string; readonly file: string; readonly line: RegExp }[] = [
  { loader: 'limine', file: 'limine/limine.conf', line: /^[ \t]*cmdline:.*$/m },
  { loader: 'limine', file: 'EFI/limine/limine.conf', line: /^[ \t]*cmdline:.*$/m },
  { loader: 'refind', file: 'EFI/refind/refind.conf', line: /^[ \t]*options\s.*$/m },
];

/** What the first entry of Limine or rEFInd says; never verified. */
export async function fromFirstEntry(places: readonly string[]): Promise<LoaderSays | undefined> {
  for (const { loader, file, line } of FILES) {
    for (const place of places) {
      const path = join(place, file);
      const text = await textOf(path);
      if (text === undefined) continue;
      return sayOf(path, { loader, verified: false }, closureOfOptions(line.exec(text)?.[0] ?? ''));
    }
  }
  return undefined;
}
