// Nix on the host: Debian trixie's, run in the machines' tree, with a store of the test bed's own in the cache.
import { mkdir } from 'node:fs/promises';
import { artefacts } from './artefacts.ts';
import { cached, recipe } from './paths.ts';
import { type RunOptions, type RunResult, run, tryRun } from './run.ts';

export interface NixOptions extends RunOptions {
  /** Folders of the host, by the path at which the command sees them. */
  readonly binds?: Readonly<Record<string, string>>;
}

/** Runs `command` where `/nix` is the test bed's store. Throws unless it ends with 0; returns standard output. */
export async function inBuildStore(command: readonly string[], options: NixOptions = {}): Promise<string> {
  return run(await enter(command, options.binds), { timeoutSeconds: 600, ...options });
}

/** Like {@link inBuildStore}, for when a failure is what is looked for. */
export async function tryInBuildStore(command: readonly string[], options: NixOptions = {}): Promise<RunResult> {
  return tryRun(await enter(command, options.binds), { timeoutSeconds: 600, ...options });
}

async function enter(command: readonly string[], binds: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const { machineTree } = await artefacts();
  await mkdir(cached('nix'), { recursive: true });
  const bound = Object.entries({ '/nix': cached('nix'), ...binds }).flat();
  const count = String(bound.length / 2);
  return [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    recipe('machine', 'in-tree.sh'),
    machineTree,
    count,
    ...bound,
    ...command,
  ];
}
