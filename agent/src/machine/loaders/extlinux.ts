// extlinux and U-Boot, which reads the same file: the label that DEFAULT names.
import { join } from 'node:path';
import { closureOfOptions, type LoaderSays, sayOf, textOf } from './boot-files.ts';

/** What extlinux.conf says. */
export async function fromExtlinux(boot: string): Promise<LoaderSays | undefined> {
  const file = join(boot, 'extlinux/extlinux.conf');
  const config = await textOf(file);
  if (config === undefined) return undefined;
  const label = /^DEFAULT\s+(\S+)/m.exec(config)?.[1];
  const section = config.split(/^LABEL\s+/m).find((part) => part.split(/\s/, 1)[0] === label);
  const closure = closureOfOptions(section?.match(/^[ \t]*APPEND\s.*$/m)?.[0] ?? '');
  return sayOf(file, { loader: 'extlinux', verified: true }, closure);
}
