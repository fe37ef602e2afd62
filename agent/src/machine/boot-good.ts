// With boot counting: says that this boot was good, once no attempt is open any more. Until then the loader counts.
import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Paths } from '../paths.ts';
import { type Commander, complaintOf } from './command.ts';
import { isCountedBoot } from './loaders/systemd-boot.ts';

/** systemd's own, which takes the counter off the entry. The module lets it run only where the marker is. */
const UNIT = 'systemd-bless-boot.service';
const LIMIT_MS = 60_000;

/** Writes the marker and, where this boot is counted, has its entry called good. Does nothing the second time. */
export async function sayBootWasGood(
  { bootGood, efivars, isHost }: Pick<Paths, 'bootGood' | 'efivars' | 'isHost'>,
  command: Commander,
): Promise<string | undefined> {
  const said = await access(bootGood).then(
    () => true,
    () => false,
  );
  if (said) return undefined;
  await mkdir(dirname(bootGood), { recursive: true });
  await writeFile(bootGood, 'good\n');
  if (!isHost || !(await isCountedBoot(efivars))) return undefined;
  const started = await command('systemctl', ['start', UNIT], { signal: AbortSignal.timeout(LIMIT_MS) });
  return started.code === 0 ? undefined : `${UNIT} failed: ${complaintOf(started)}`;
}
