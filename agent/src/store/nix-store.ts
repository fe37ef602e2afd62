// The Nix store of the machine: fetching closures, keeping them, reading their signatures, setting the profile.
import { access, constants, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fetched } from '../attempt/outcome.ts';
import type { Order } from '../attempt/record.ts';
import { backoffMs } from '../backoff.ts';
import type { Log } from '../log.ts';
import { type Commander, type CommandResult, complaintOf } from '../machine/command.ts';
import type { Paths } from '../paths.ts';
import { nixComplaint } from './nix-complaint.ts';
import { type PathInfo, PathInfoError, parsePathInfos } from './path-info.ts';
import { distrustedPaths, distrustedSystem } from './signed-closure.ts';
import { bootFault, bytesToFetch, type FreeBytes, freeBytes, roomFault, sizeInWords } from './space.ts';
import { substituterFault } from './substituters.ts';
import { type TrustedKeys, trustRemedy } from './trust-remedy.ts';
import { unsignedComplaint } from './unsigned.ts';

export type StoreSettings = {
  readonly paths: Paths;
  readonly command: Commander;
  readonly log: Log;
  /** Keys of the agent's own configuration; undefined: those of Nix' configuration. */
  readonly trustedPublicKeys: readonly string[] | undefined;
  /** Substituters of the agent's own configuration, beside those it is told. */
  readonly substituters: readonly string[];
  /** Bytes that must stay free in the store. */
  readonly reserveBytes: number;
  /** A port, so that tests may run out of room. */
  readonly freeBytes?: FreeBytes;
  /** Milliseconds between two looks at the room while something is fetched; default 1,000. */
  readonly watchMs?: number;
};

/** A single download may take this long. */
const FETCH_LIMIT_SECONDS = 6 * 3600;
/** What it says when a cache is out of reach. */
const UNREACHABLE =
  /unable to download|unable to check|could(n't| not) (connect|resolve)|timed? ?out|HTTP error (429|5\d\d)|is not (available|reachable)/i;
const UNREACHABLE_SECONDS = 20 * 60;
const ANY_FAULT_SECONDS = 90;

const WATCH_ROOM_MS = 1_000;
/** The key of the public cache, which Nix trusts where its configuration says nothing else. */
const PUBLIC_KEY = 'cache.nixos.org-1:';

type Telling = { readonly note: (text: string) => void; readonly signal: AbortSignal };

/** How long a fetch is tried again. A person at the console is told at once. */
function patienceSeconds(order: Order, result: CommandResult): number {
  if (order.origin === 'local' || result.failure?.endsWith('not in PATH') === true) return 0;
  return UNREACHABLE.test(result.stderr) ? UNREACHABLE_SECONDS : ANY_FAULT_SECONDS;
}

/** A dry run asks for the records of all paths that are missing. */
const ROOM_LIMIT_SECONDS = 300;
const ROOM_BACKOFF = { baseMs: 15_000, maxMs: 600_000 };

/**
 * Without it Nix calls a path valid before its files are on the disk, and after a power cut runs what is empty (ext4:
 * files of no length). A Nix that does not know it says so and goes on.
 */
const DURABLE = ['--option', 'fsync-store-paths', 'true'];

const FEATURES = ['--extra-experimental-features', 'nix-command'];

export class NixStore {
  readonly #settings: StoreSettings;

  constructor(settings: StoreSettings) {
    this.#settings = settings;
  }

  /** Brings the closure here where there is room for it, and for orders of the hub checks its signatures. */
  async fetch(order: Order, note: (text: string) => void, signal: AbortSignal): Promise<Fetched> {
    const options = await this.#options(order.substituters, signal);
    const { closure, origin, mode } = order;
    const inStore = await this.#awaitRoom(order, () => this.#storeFault(closure, options, signal), { note, signal });
    if (inStore !== undefined) return inStore;
    const fetched = await this.#realise(order, options, { note, signal });
    if (fetched.kind !== 'fetched') return fetched;
    const verified = origin === 'local' ? fetched : await this.#verify(closure, options, signal);
    if (verified.kind !== 'fetched' || mode === 'test') return verified;
    const free = this.#settings.freeBytes ?? freeBytes;
    const inBoot = () => bootFault(this.#settings.paths.boot, closure, free);
    return (await this.#awaitRoom(order, inBoot, { note, signal })) ?? verified;
  }

  /** Waits until there is room: somebody may make it. A person at the console is told at once. */
  async #awaitRoom(
    order: Order,
    fault: () => Promise<string | undefined>,
    { note, signal }: Telling,
  ): Promise<Fetched | undefined> {
    for (let tries = 0; ; tries++) {
      const why = await fault();
      if (why === undefined) return undefined;
      if (order.origin === 'local')
        return { kind: 'unavailable', message: `There is no room for the closure: ${why}.` };
      note(`There is no room for the closure, it is tried again: ${why}.`);
      this.#settings.log.warn(`no room for ${order.closure}: ${why}`);
      await sleep(backoffMs(tries, ROOM_BACKOFF) + 1_000, undefined, { signal });
    }
  }

  /** Why the store has no room for what the closure lacks. What Nix can't tell is left to the fetch itself. */
  async #storeFault(closure: string, options: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const { command, reserveBytes, freeBytes: free = freeBytes } = this.#settings;
    const args = ['--realise', '--dry-run', closure, ...options, '--option', 'download-attempts', '1'];
    const result = await command('nix-store', args, { signal, limitSeconds: ROOM_LIMIT_SECONDS });
    const needed = bytesToFetch(`${result.stderr}${result.stdout}`);
    const room = needed === undefined ? undefined : await free('/nix/store');
    if (needed === undefined || room === undefined) return undefined;
    const remedy = 'run nix-collect-garbage, or make the file system larger';
    return roomFault({ needed, free: room, reserve: reserveBytes, where: '/nix' }, remedy);
  }

  /** Keeps a closure from the garbage collector under a name, in place of the one that had it. */
  async keep(name: string, closure: string, signal: AbortSignal): Promise<CommandResult> {
    const root = join(this.#settings.paths.gcRoots, name);
    await mkdir(dirname(root), { recursive: true, mode: 0o700 });
    return this.#settings.command('nix-store', ['--realise', closure, '--add-root', root, '--indirect'], { signal });
  }

  /** Why the closure can't be activated; undefined when it can. */
  async complaint(closure: string): Promise<string | undefined> {
    const program = join(closure, 'bin/switch-to-configuration');
    try {
      await access(program, constants.X_OK);
      return undefined;
    } catch {
      return `${program} is not there or not executable: the closure is no NixOS system.`;
    }
  }

  /** Version of Nix, for the facts; undefined where there is none. */
  async version(signal: AbortSignal): Promise<string | undefined> {
    const result = await this.#settings.command('nix-store', ['--version'], { signal });
    return /(?<!\S)(\d{1,9}\.\d{1,9}(?:\.\d{1,9})?\S{0,60})\s*$/.exec(result.stdout)?.[1];
  }

  async #options(told: readonly string[], signal: AbortSignal): Promise<string[]> {
    const fit = [...told, ...this.#settings.substituters].filter((url) => {
      const fault = substituterFault(url);
      if (fault !== undefined) this.#settings.log.warn(`substituter ${url} is not used: ${fault}`);
      return fault === undefined;
    });
    return [
      ...(fit.length === 0 ? [] : ['--option', 'extra-substituters', [...new Set(fit)].join(' ')]),
      // What was asked for before it was uploaded must not count as missing for an hour, and what a cache had before it
      // was lost or filled again must not count as there for a month.
      ...['--option', 'narinfo-cache-negative-ttl', '0', '--option', 'narinfo-cache-positive-ttl', '0'],
      ...['--option', 'connect-timeout', '10'],
      ...['--option', 'trusted-public-keys', (await this.#trustedKeys(signal)).keys.join(' ')],
    ];
  }

  async #trustedKeys(signal: AbortSignal): Promise<TrustedKeys> {
    const { trustedPublicKeys, command } = this.#settings;
    if (trustedPublicKeys !== undefined) return { keys: trustedPublicKeys, own: true };
    for (const verb of [['config', 'show'], ['show-config']]) {
      const result = await command('nix', [...FEATURES, ...verb, '--json'], { signal });
      if (result.code !== 0) continue;
      const settings = JSON.parse(result.stdout) as Record<string, { value?: unknown }>;
      const keys = settings['trusted-public-keys']?.value;
      if (!Array.isArray(keys)) continue;
      return { keys: keys.filter((key): key is string => typeof key === 'string'), own: false };
    }
    return { keys: [], own: false };
  }

  async #realise(order: Order, options: readonly string[], { note, signal }: Telling): Promise<Fetched> {
    const { command, paths, log } = this.#settings;
    const { closure } = order;
    const root = join(paths.gcRoots, 'new');
    await mkdir(dirname(root), { recursive: true, mode: 0o700 });
    const began = performance.now();
    const args = ['--realise', closure, '--add-root', root, '--indirect', ...options, ...DURABLE];
    for (let tries = 0; ; tries++) {
      const fetched = await this.#whileThereIsRoom(signal, (within) =>
        command('nix-store', args, { signal: within, limitSeconds: FETCH_LIMIT_SECONDS }),
      );
      if (fetched.kind === 'stopped')
        return { kind: 'unavailable', message: `${closure} was not fetched to its end: ${fetched.why}.` };
      const { result } = fetched;
      if (result.code === 0) return { kind: 'fetched' };
      const complaint = nixComplaint(result);
      // Another cache, out of reach for now, may have it signed.
      const unsigned = UNREACHABLE.test(result.stderr)
        ? undefined
        : unsignedComplaint(closure, result.stderr, await this.#trustedKeys(signal));
      if (unsigned !== undefined) return { kind: 'refused', message: unsigned };
      const pause = 500 + backoffMs(tries, { baseMs: 1_000, maxMs: 30_000 });
      const patience = patienceSeconds(order, result);
      if ((performance.now() - began + pause) / 1000 > patience) {
        return { kind: 'unavailable', message: `${closure} could not be fetched: ${complaint}.` };
      }
      note(`The closure can't be fetched now, it is tried again: ${complaint}.`);
      log.warn(`fetching ${closure}: ${complaint}; next try in ${Math.round(pause / 1000)} s`);
      await sleep(pause, undefined, { signal });
    }
  }

  /**
   * Runs a fetch for as long as the reserve of the store stays free. What a cache sends may be more than its records say,
   * which is found out only at the end of a path.
   */
  async #whileThereIsRoom(
    signal: AbortSignal,
    fetch: (within: AbortSignal) => Promise<CommandResult>,
  ): Promise<{ kind: 'ended'; result: CommandResult } | { kind: 'stopped'; why: string }> {
    const { reserveBytes, freeBytes: free = freeBytes, watchMs = WATCH_ROOM_MS } = this.#settings;
    // A store that is fuller from the start, with little to be fetched, gets some way.
    const least = Math.min(reserveBytes, ((await free('/nix/store')) ?? 0) / 2);
    const full = new AbortController();
    let why: string | undefined;
    const look = async () => {
      const left = await free('/nix/store');
      if (left === undefined || left >= least || full.signal.aborted) return;
      why = `${sizeInWords(left)} were left in /nix, where ${sizeInWords(reserveBytes)} must stay free; the cache sent more than its records say, or something else fills it: look at the cache, run nix-collect-garbage, then have the order given again`;
      full.abort(new Error(why));
    };
    const timer = setInterval(() => void look(), watchMs);
    try {
      return { kind: 'ended', result: await fetch(AbortSignal.any([signal, full.signal])) };
    } catch (error: unknown) {
      if (why === undefined || signal.aborted) throw error;
      return { kind: 'stopped', why };
    } finally {
      clearInterval(timer);
    }
  }

  /** Checks all signatures; paths that came without are asked for at the substituters first. */
  async #verify(closure: string, options: readonly string[], signal: AbortSignal): Promise<Fetched> {
    const trusted = await this.#trustedKeys(signal);
    const { keys } = trusted;
    // Everyone's key: what it signs is fit for parts, and says nothing of who put the system together.
    const own = this.#settings.trustedPublicKeys ?? keys.filter((key) => !key.startsWith(PUBLIC_KEY));
    if (own.length === 0) return { kind: 'refused', message: trustRemedy(trusted) };
    try {
      const look = async () => {
        const infos = await this.#pathInfos(closure, signal);
        const bySystem = distrustedSystem(closure, infos, own);
        return bySystem.length > 0 ? bySystem : distrustedPaths(closure, infos, keys);
      };
      let bad = await look();
      if (bad.length > 0) {
        await this.#copySignatures(closure, options, signal);
        bad = await look();
      }
      if (bad.length === 0) return { kind: 'fetched' };
      const shown = bad.slice(0, 3).map(({ path, reason }) => `${path}: ${reason}`);
      const more = bad.length > shown.length ? `, and ${bad.length - shown.length} more` : '';
      return {
        kind: 'refused',
        message: `Not signed by a key that this machine trusts: ${shown.join('; ')}${more}. ${trustRemedy(trusted)}`,
      };
    } catch (error: unknown) {
      if (!(error instanceof PathInfoError)) throw error;
      return { kind: 'unavailable', message: `The signatures can't be read: ${error.message}.` };
    }
  }

  async #pathInfos(closure: string, signal: AbortSignal): Promise<PathInfo[]> {
    const args = [...FEATURES, 'path-info', '--json', '--recursive', '--sigs', closure];
    const result = await this.#settings.command('nix', args, { signal, limitSeconds: 600 });
    if (result.code !== 0) throw new PathInfoError(complaintOf(result));
    return parsePathInfos(result.stdout);
  }

  async #copySignatures(closure: string, options: readonly string[], signal: AbortSignal): Promise<void> {
    const from = options[options.indexOf('extra-substituters') + 1]?.split(' ') ?? [];
    for (const url of options.includes('extra-substituters') ? from : []) {
      const args = [...FEATURES, 'store', 'copy-sigs', '--substituter', url, '--recursive', closure, ...options];
      await this.#settings.command('nix', args, { signal, limitSeconds: 600 });
    }
  }
}
