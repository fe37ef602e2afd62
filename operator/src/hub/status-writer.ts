// Writes what the hub learns of machines into their status: merged, one write per machine at a time, never lost.
import { setTimeout as scheduleTimer } from 'node:timers';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Logger } from 'pino';
import type { StatusPatch } from '../conditions/patch.ts';
import { Backoff } from '../kube/backoff.ts';
import type { CongestionWindow, Send } from '../kube/congestion-window.ts';
import { isConflict, isNotFound, KubeError } from '../kube/error.ts';
import { RateLimit } from '../kube/rate-limit.ts';
import { mergeNews, type News, patienceFor, writeOf } from './news.ts';

/** How the writer reaches the API server. */
export interface MachineApi {
  get(key: string, options: { signal: AbortSignal }): Promise<NixMachine>;
  patchStatus(key: string, patch: StatusPatch, options: { signal: AbortSignal }): Promise<NixMachine>;
}

/** The hub's view of the machines, which its own writes bring forward. */
export interface MachineCache {
  get(key: string): NixMachine | undefined;
  put(machine: NixMachine): unknown;
}

export interface StatusWriterOptions {
  /** Name of this replica. */
  readonly replica: string;
  readonly api: MachineApi;
  readonly machines: MachineCache;
  /** Revision records of a machine's config. */
  readonly records: (machine: NixMachine) => readonly ControllerRevision[];
  /** Room among all writes of this process to the API server. */
  readonly window: Pick<CongestionWindow, 'run'>;
  readonly log: Logger;
  readonly count: (result: 'written' | 'unchanged' | 'conflict' | 'failed') => void;
  readonly signal: AbortSignal;
  readonly now?: () => Date;
  /** How long news wait for more of the same machine, in milliseconds. Default 300, for phases on the way 2000. */
  readonly mergeMs?: { readonly short: number; readonly long: number };
  /** Writes that ask for room in the window at once, over all machines. Default 32. */
  readonly concurrency?: number;
  /** Upper bound of the delay after failures, in seconds. Default 10. */
  readonly maxBackoffSeconds?: number;
}

/** Everything that is held of one machine; there is one entry per machine with news, however many there were. */
type Entry = {
  news: News | undefined;
  /** Called once the news are stored; only the newest report's matters, since it acknowledges those before. */
  onStored: (() => void) | undefined;
  timer: NodeJS.Timeout | undefined;
  dueAt: number;
  state: 'waiting' | 'ready' | 'writing' | 'resting';
  readonly backoff: Backoff;
};

/** Writes of one machine at once, and each second in the long run. */
const PACE = { burst: 10, perSecond: 1 };
const PACE_MS = 1000;

export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #mergeMs: { readonly none: number; readonly short: number; readonly long: number };
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Set<string>();
  /** A machine that reports another end of an attempt each time would be a write for each report. */
  readonly #pace = new RateLimit(PACE);
  #writing = 0;
  #hurry = false;
  #idle: (() => void)[] = [];

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#mergeMs = { none: 0, ...(options.mergeMs ?? { short: 300, long: 2000 }) };
  }

  /** Machines whose news are not stored yet. */
  get pending(): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.news !== undefined || entry.state === 'writing') count += 1;
    return count;
  }

  /** Takes news of a machine; `onStored` is called once the status says so, written or not. */
  submit(key: string, news: News, onStored?: () => void): void {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const maxSeconds = this.#options.maxBackoffSeconds ?? 10;
      const backoff = new Backoff({ firstSeconds: 0.5, maxSeconds });
      entry = {
        news: undefined,
        onStored: undefined,
        timer: undefined,
        dueAt: 0,
        state: 'resting',
        backoff,
      };
      this.#entries.set(key, entry);
    }
    entry.news = mergeNews(entry.news, news);
    entry.onStored = onStored ?? entry.onStored;
    // A failed write keeps its back-off: news do not make an API server that is down come back.
    if (entry.state !== 'writing' && entry.backoff.failures === 0) this.#schedule(key, entry, this.#delay(key, entry));
  }

  /** Writes all that is pending without waiting for more; resolves when nothing is left or `signal` is aborted. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#hurry = true;
    for (const [key, entry] of this.#entries) {
      if (entry.state !== 'writing' && entry.news !== undefined) this.#schedule(key, entry, 0);
    }
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
      this.#tellIdle();
    });
  }

  #delay(key: string, entry: Entry): number {
    if (this.#hurry || entry.news === undefined) return 0;
    return this.#mergeMs[patienceFor(this.#options.machines.get(key), entry.news)];
  }

  /** Makes an entry due in `ms`, or earlier where it is due earlier anyway. */
  #schedule(key: string, entry: Entry, ms: number): void {
    const dueAt = performance.now() + ms;
    if (entry.state === 'ready' || (entry.state === 'waiting' && entry.dueAt <= dueAt)) return;
    clearTimeout(entry.timer);
    entry.state = 'waiting';
    entry.dueAt = dueAt;
    entry.timer = scheduleTimer(() => {
      if (!this.#hurry && !this.#pace.take(key, performance.now() / 1000)) {
        entry.state = 'resting';
        this.#schedule(key, entry, PACE_MS);
        return;
      }
      entry.state = 'ready';
      this.#ready.add(key);
      this.#startReady();
    }, ms);
  }

  #startReady(): void {
    for (const key of this.#ready) {
      if (this.#writing >= (this.#options.concurrency ?? 32) || this.#options.signal.aborted) return;
      this.#ready.delete(key);
      const entry = this.#entries.get(key);
      if (entry !== undefined) void this.#run(key, entry);
    }
  }

  /** Never rejects. */
  async #run(key: string, entry: Entry): Promise<void> {
    const { news, onStored } = entry;
    entry.state = 'writing';
    entry.news = undefined;
    entry.onStored = undefined;
    this.#writing += 1;
    const outcome =
      news === undefined ? 'stored' : await this.#writeInTurn(key, news).catch((error) => this.#failed(key, error));
    this.#writing -= 1;
    entry.state = 'resting';
    if (outcome === 'stored' || typeof outcome === 'object') {
      entry.backoff.reset();
      if (outcome !== 'stored' && news?.state !== undefined) {
        entry.news = mergeNews({ unstored: outcome.refused }, entry.news ?? {});
      }
      this.#acknowledge(onStored);
    } else if (outcome === 'dropped') {
      entry.backoff.reset();
    } else {
      entry.news = mergeNews(news, entry.news ?? {});
      entry.onStored ??= onStored;
    }
    const pauseMs = typeof outcome === 'number' ? entry.backoff.next(outcome) * 1000 : this.#delay(key, entry);
    if (entry.news !== undefined) this.#schedule(key, entry, pauseMs);
    else this.#entries.delete(key);
    this.#startReady();
    this.#tellIdle();
  }

  /** What to write is worked out when its turn has come: by then the machine may have changed. */
  #writeInTurn(key: string, news: News): Promise<'stored' | 'dropped'> {
    return this.#options.window.run((send) => this.#write(key, news, send), this.#options.signal);
  }

  async #write(key: string, news: News, send: Send): Promise<'stored' | 'dropped'> {
    const { api, machines, replica, records, count, signal } = this.#options;
    // Twice at most: after a conflict the machine is read anew; a second conflict waits like any failure.
    for (let fresh = false; ; fresh = true) {
      const machine = machines.get(key);
      if (machine === undefined) return 'dropped';
      const now = this.#options.now?.() ?? new Date();
      const write = writeOf(machine, news, { now, replica, records: () => records(machine) });
      if (write === undefined) {
        count('unchanged');
        return 'stored';
      }
      try {
        machines.put(await send(() => api.patchStatus(key, write.patch, { signal })));
        count('written');
        return 'stored';
      } catch (error) {
        if (!isConflict(error) || fresh) throw error;
        count('conflict');
        machines.put(await api.get(key, { signal }));
      }
    }
  }

  /**
   * What a failed write means: seconds to wait at least, or that it can never succeed. What the API server refuses for
   * good is acknowledged all the same, since the same again would fare no better and the next report may; the machine's
   * condition says so until then.
   */
  #failed(key: string, error: unknown): number | 'dropped' | { readonly refused: string } {
    const { log, count, signal } = this.#options;
    // Deleted: the watch will say so. Aborted: the next process learns it from the agent.
    if (isNotFound(error) || signal.aborted) return 'dropped';
    count(isConflict(error) ? 'conflict' : 'failed');
    if (error instanceof KubeError && (error.status === 400 || error.status === 422)) {
      log.error(
        { err: error, machine: key },
        'the API server refuses what this machine reports; its status stays as it was',
      );
      return { refused: error.message };
    }
    if (!isConflict(error)) log.warn({ err: error, machine: key }, 'status not written, trying again');
    return error instanceof KubeError ? (error.retryAfterSeconds ?? 0) : 0;
  }

  #acknowledge(onStored: (() => void) | undefined): void {
    try {
      onStored?.();
    } catch (error) {
      this.#options.log.error({ err: error }, 'an acknowledgement failed');
    }
  }

  #tellIdle(): void {
    if (this.#idle.length === 0 || this.pending > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
