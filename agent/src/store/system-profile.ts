// The system profile: which closure the boot loader's menu is made from, and its generations.
import { lstat, mkdir, readdir, readlink, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { GenerationsMessage } from '@floe/crds/generations';
import type { Done } from '../attempt/outcome.ts';
import { diskFiles } from '../journal/files.ts';
import { type Commander, complaintOf } from '../machine/command.ts';
import type { Paths } from '../paths.ts';
import { type Generation, surplus } from './surplus.ts';

const LIMIT_SECONDS = 300;

export class SystemProfile {
  readonly #path: string;
  readonly #command: Commander;

  constructor(paths: Paths, command: Commander) {
    this.#path = paths.profile;
    this.#command = command;
  }

  /** Points the profile at a closure: a new generation, unless the present one is that already. */
  async set(closure: string, signal: AbortSignal): Promise<Done> {
    await mkdir(dirname(this.#path), { recursive: true });
    return this.#nixEnv(['--set', closure], signal);
  }

  /**
   * Goes back to the generation of a closure, and removes the newer one that was made for `dropped`, so that no boot
   * menu offers it. Undefined: there was no profile.
   */
  async restore(closure: string | undefined, dropped: string, signal: AbortSignal): Promise<Done> {
    const generations = await this.generations();
    const old = generations.findLast((one) => one.closure === closure);
    const failed = generations.at(-1);
    if (closure === undefined) await rm(this.#path, { force: true });
    else {
      const args = old === undefined ? ['--set', closure] : ['--switch-generation', String(old.number)];
      const done = await this.#nixEnv(args, signal);
      if (done.kind === 'failed') return done;
    }
    const isNewer = failed !== undefined && failed.closure === dropped && failed.number > (old?.number ?? 0);
    if (isNewer) await rm(`${this.#path}-${failed.number}-link`, { force: true });
    return { kind: 'ok' };
  }

  async #nixEnv(args: readonly string[], signal: AbortSignal): Promise<Done> {
    const result = await this.#command('nix-env', ['-p', this.#path, ...args], { signal, limitSeconds: LIMIT_SECONDS });
    if (result.code !== 0) return { kind: 'failed', message: complaintOf(result) };
    // The journal says soon that it is set: it must not be ahead of the disk.
    await diskFiles.syncFolder(dirname(this.#path));
    return { kind: 'ok' };
  }

  /** Removes generations that nobody needs, and says which; what can't be removed stays, and is tried the next time. */
  async prune(rules: GenerationsMessage, needed: ReadonlySet<string>, nowMs: number): Promise<number[]> {
    const [generations, present] = await Promise.all([this.generations(), this.present()]);
    const old = surplus(generations, rules, { needed, nowMs }).filter((number) => number !== present);
    await Promise.all(old.map((number) => rm(`${this.#path}-${number}-link`, { force: true })));
    return old;
  }

  /** Number of the generation that the profile is at; undefined where there is none. */
  async present(): Promise<number | undefined> {
    const target = await readlink(this.#path).catch(() => '');
    const number = Number(new RegExp(`^${basename(this.#path)}-(\\d+)-link$`).exec(basename(target))?.[1]);
    return Number.isInteger(number) ? number : undefined;
  }

  /** All generations by number, the newest last. */
  async generations(): Promise<Generation[]> {
    const folder = dirname(this.#path);
    const names = await readdir(folder).catch(() => []);
    const found = names.map(async (name) => {
      const number = Number(new RegExp(`^${basename(this.#path)}-(\\d+)-link$`).exec(name)?.[1]);
      if (!Number.isInteger(number)) return [];
      const path = join(folder, name);
      const [closure, made] = await Promise.all([
        readlink(path).catch(() => undefined),
        lstat(path).catch(() => undefined),
      ]);
      if (closure === undefined) return [];
      return [{ number, closure, ...(made === undefined ? {} : { madeAtMs: made.mtimeMs }) }];
    });
    return (await Promise.all(found)).flat().sort((one, other) => one.number - other.number);
  }
}
