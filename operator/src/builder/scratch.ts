// A private folder of one container, never on the volume: HOME, credentials, configuration. It goes at the end.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Scratch = {
  readonly folder: string;
  /** Owned by this process: Nix takes no HOME that belongs to somebody else. */
  readonly home: string;
  /** Writes a file that only this process may read and returns its path. */
  secret(name: string, text: string): Promise<string>;
  remove(): Promise<void>;
};

export async function makeScratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'floe-'));
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  return {
    folder,
    home,
    async secret(name, text) {
      const path = join(folder, name);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    },
    async remove() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
