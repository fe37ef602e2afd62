// Every path that the agent reads or writes outside /nix/store; `--root DIR` moves them all.
import { isAbsolute, join } from 'node:path';

export type Paths = ReturnType<typeof pathsUnder>;

/** The paths of a machine whose root folder is `root`, `/` for the machine itself. */
export function pathsUnder(root: string) {
  const under = (...parts: string[]) => join(root, ...parts);
  const state = under('var/lib/floe-agent');
  return {
    root,
    /** Where the machine is this machine: systemd may be asked. */
    isHost: root === '/',
    currentSystem: under('run/current-system'),
    bootedSystem: under('run/booted-system'),
    profile: under('nix/var/nix/profiles/system'),
    config: under('etc/floe-agent.json'),
    checks: under('etc/floe-agent/checks'),
    boot: under('boot'),
    efi: under('efi'),
    efivars: under('sys/firmware/efi/efivars'),
    /** Says that this boot was good; gone with the next one. */
    bootGood: under('run/floe-agent/boot-good'),
    switchLists: ['start-list', 'restart-list', 'reload-list'].map((name) => under('run/nixos', name)),
    state,
    lock: join(state, 'lock'),
    secrets: under('run/floe-secrets'),
    socket: under('run/floe-agent/agent.sock'),
    runs: join(state, 'runs'),
    gcRoots: join(state, 'gcroots'),
    /** A path of the configuration: below root, but for the store. */
    resolve(path: string): string {
      return isAbsolute(path) && path.startsWith('/nix/store/') ? path : under(path);
    },
  };
}
