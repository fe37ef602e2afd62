// Learns at once of what other programs change on the machine: links and folders are watched, nothing is asked again and again.
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Log } from '../log.ts';
import type { Paths } from '../paths.ts';

export type Watching = { close(): void };

type Place = { readonly folder: string; readonly isOurs: (name: string) => boolean };

/** What is watched: the links of what runs and what boots, the loader's files, failing units, commands at the console. */
function placesOf(paths: Paths): Place[] {
  const profile = basename(paths.profile);
  const run = dirname(paths.currentSystem);
  return [
    { folder: run, isOurs: (name) => name === 'current-system' || name === 'booted-system' },
    { folder: dirname(paths.profile), isOurs: (name) => name === profile },
    { folder: join(paths.boot, 'loader'), isOurs: (name) => name === 'loader.conf' },
    { folder: join(paths.boot, 'loader/entries'), isOurs: (name) => name.endsWith('.conf') },
    { folder: join(paths.boot, 'grub'), isOurs: (name) => name === 'grub.cfg' || name === 'grubenv' },
    { folder: join(paths.boot, 'extlinux'), isOurs: (name) => name === 'extlinux.conf' },
    // systemd keeps a link for each unit that runs, and takes it away when the unit ends, well or not.
    ...(paths.isHost ? [{ folder: join(run, 'systemd/units'), isOurs: isUnitOfOthers }] : []),
    { folder: paths.state, isOurs: (name) => name === 'journal' || name === 'release' },
  ];
}

const isUnitOfOthers = (name: string): boolean => name.startsWith('invocation:') && !name.includes(':floe-');

/**
 * Calls `changed` when one of them changes; several times for one change, often. A folder that is not there is not
 * watched: the slow look finds what happens there.
 */
export function watchMachine(paths: Paths, changed: () => void, log: Log): Watching {
  const watchers = placesOf(paths).flatMap(({ folder, isOurs }) => {
    try {
      const watcher: FSWatcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || isOurs(name)) changed();
      });
      watcher.on('error', (error) => {
        log.warn(`${folder} is not watched any more: ${error.message}`);
        watcher.close();
      });
      return [watcher];
    } catch (error: unknown) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        log.warn(`${folder} can't be watched, changes there are noticed later: ${error}`);
      }
      return [];
    }
  });
  return {
    close() {
      for (const watcher of watchers) watcher.close();
    },
  };
}
