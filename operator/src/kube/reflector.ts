// Keeps a store in step with the API server: lists once, watches from there, and survives whatever happens to either.
import type { Logger } from 'pino';
import { Backoff, type BackoffSettings } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { isGone, isIdle, KubeError } from './error.ts';
import type { KubeMetrics } from './metrics.ts';
import { type KubeObject, keyOf } from './object.ts';
import { pause, yieldToEventLoop } from './pause.ts';
import type { Resource } from './resource.ts';
import { compareVersions } from './resource-version.ts';
import type { Store } from './store.ts';
import type { WatchEvent } from './watch-stream.ts';

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'listPages' | 'watch'>;
  readonly resource: Resource<T>;
  readonly store: Store<T>;
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Reduces objects to what is needed before they are stored; the store drops managedFields, unless it is to keep them. */
  readonly transform?: (object: T) => T;
  readonly log: Logger;
  readonly metrics?: KubeMetrics | undefined;
  /** Delay before the n-th try after a failure, which silence is not. Default: full jitter, 0.8 to 30 s. */
  readonly backoff?: BackoffSettings;
  /** Objects per page of a list. Default 500. */
  readonly pageSize?: number;
  /** Shortest time after which the server shall end a watch, in seconds; the longest is twice that. Default 300. */
  readonly watchSeconds?: number;
  /** How long a watch may be silent before it is opened again, in seconds. Default 120. */
  readonly idleSeconds?: number;
}

/** Longest wait that a server can ask for, in seconds. */
const LONGEST_RETRY_AFTER_SECONDS = 60;

/** Runs one list-and-watch loop. */
export class Reflector<T extends KubeObject> {
  /** Fulfilled once the store holds a complete list for the first time. */
  readonly synced: Promise<void>;
  readonly #options: ReflectorOptions<T>;
  readonly #name: string;
  readonly #backoff: Backoff;
  readonly #resolveSynced: () => void;
  #hasSynced = false;
  #lastContact: number | undefined;
  /** Where the next watch goes on; undefined asks for a list. */
  #version: string | undefined;
  /** The newest version ever seen; not unset by a relist. */
  #newest: string | undefined;
  /** The server was away: it may have come back with an older state. */
  #doubt = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#name = options.resource.plural;
    this.#backoff = new Backoff(options.backoff);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#resolveSynced = resolve;
    for (const counter of [options.metrics?.lists, options.metrics?.watches]) {
      counter?.inc({ name: this.#name }, 0);
    }
  }

  /** Whether the store has held a complete list once. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Version up to which everything has been seen; undefined while there is no complete list. */
  get version(): string | undefined {
    return this.#version;
  }

  /** When the API server last sent anything, in milliseconds since the epoch; undefined before the first time. */
  get lastContact(): number | undefined {
    return this.#lastContact;
  }

  /** Failures in a row; 0 while all is well. A watch that was silent is none. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /** Lists and watches until `signal` is aborted; resolves then, and never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#doubt) {
          await this.#checkTime(signal);
        }
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal);
      } catch (error) {
        if (!signal.aborted) {
          await this.#recover(error, signal);
        }
      }
    }
  }

  /** Brings the store to the state of a new list and returns the list's version. */
  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, namespace, labelSelector, pageSize, store, metrics } = this.#options;
    const start = performance.now();
    const listed = new Set<string>();
    let version = '';
    metrics?.lists.inc({ name: this.#name });
    for await (const page of client.listPages(resource, { namespace, labelSelector, limit: pageSize ?? 500, signal })) {
      this.#lastContact = Date.now();
      if (version === '') {
        version = page.resourceVersion;
        this.#noteTime(version);
      }
      for (const item of page.items) {
        listed.add(keyOf(item));
        store.put(this.#transform(item), { initial: true });
      }
      // Thousands of objects must not keep connections, timers and workers waiting.
      await yieldToEventLoop();
    }
    for (const key of [...store.keys()]) {
      if (!listed.has(key)) {
        // Unless it is newer than the list.
        store.remove(key, version, { initial: true });
      }
    }
    this.#seen(version);
    metrics?.listSeconds.observe({ name: this.#name }, (performance.now() - start) / 1000);
    if (!this.#hasSynced) {
      this.#hasSynced = true;
      this.#resolveSynced();
    }
    return version;
  }

  /** Follows the changes since `version` until the server ends the watch in good order. */
  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const { client, resource, namespace, labelSelector, metrics, log } = this.#options;
    const watchSeconds = this.#options.watchSeconds ?? 300;
    const start = performance.now();
    let opened = Number.POSITIVE_INFINITY;
    let events = 0;
    metrics?.watches.inc({ name: this.#name });
    const watch = client.watch(resource, {
      namespace,
      labelSelector,
      resourceVersion: version,
      // Spread out, so that not all watches of all replicas end at once.
      timeoutSeconds: watchSeconds * (1 + Math.random()),
      idleSeconds: this.#options.idleSeconds ?? 120,
      onOpen: () => {
        opened = performance.now();
        this.#lastContact = Date.now();
      },
      signal,
    });
    try {
      for await (const event of watch) {
        events += 1;
        this.#apply(event);
        this.#backoff.reset();
      }
    } catch (error) {
      if (isIdle(error)) {
        // Nothing has happened, or a connection died without a word. Until the next watch is open, changes wait.
        log.debug({ resource: this.#name }, `${this.#name} watches on at once: ${error.message}`);
        this.#backoff.reset();
        return;
      }
      if (performance.now() - opened > this.#backoff.maxSeconds * 1000) {
        // It went well for so long that the failures before it have nothing to do with this one.
        this.#backoff.reset();
      }
      throw error;
    }
    this.#lastContact = Date.now();
    if (events === 0 && performance.now() - start < 1000 && !signal.aborted) {
      throw new KubeError({
        status: 0,
        reason: 'ShortWatch',
        message: `WATCH ${this.#name}: the server ended the watch at once`,
      });
    }
    this.#backoff.reset();
  }

  #apply(event: WatchEvent<T>): void {
    const { store, metrics } = this.#options;
    this.#lastContact = Date.now();
    metrics?.watchEvents.inc({ name: this.#name, type: event.type });
    const version = event.object.metadata.resourceVersion;
    if (event.type === 'DELETED') {
      store.remove(keyOf(event.object), version);
    } else if (event.type !== 'BOOKMARK') {
      store.put(this.#transform(event.object));
    }
    if (version !== undefined) {
      this.#version = version;
      this.#seen(version);
    }
  }

  /** Decides after a failure where to go on, and waits before it. */
  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { log, metrics } = this.#options;
    const failure = asKubeError(error);
    metrics?.reflectorErrors.inc({ name: this.#name, reason: failure.reason });
    if (versionIsUseless(failure)) {
      this.#version = undefined;
    }
    this.#doubt ||= failure.reason === 'Unreachable';
    // What the server asks for is obeyed, within reason.
    const seconds = this.#backoff.next(Math.min(failure.retryAfterSeconds ?? 0, LONGEST_RETRY_AFTER_SECONDS));
    const { failures } = this.#backoff;
    const { status, reason } = failure;
    const next = this.#version === undefined ? 'lists anew' : 'watches on';
    // Forgotten history is an everyday thing for a kind that seldom changes.
    const level = failures > 1 ? 'warn' : isGone(error) ? 'debug' : 'info';
    log[level](
      { resource: this.#name, status, reason, failures },
      `${this.#name} ${next} in ${seconds.toFixed(1)} s: ${failure.message}`,
    );
    await pause(seconds, signal);
  }

  /**
   * Asks a server that was away for its present version. A watch from a version that is yet to come would be silent
   * until it has come, so if the server went back in time (etcd was restored), everything is listed anew.
   */
  async #checkTime(signal: AbortSignal): Promise<void> {
    const { client, resource, namespace, labelSelector } = this.#options;
    for await (const page of client.listPages(resource, { namespace, labelSelector, limit: 1, signal })) {
      this.#noteTime(page.resourceVersion);
      break;
    }
    this.#doubt = false;
  }

  #noteTime(version: string): void {
    if ((compareVersions(version, this.#newest) ?? 0) < 0) {
      this.#options.log.warn(
        { resource: this.#name, version, newest: this.#newest },
        'the API server went back in time; was etcd restored? Listing anew',
      );
      this.#newest = undefined;
      this.#version = undefined;
      this.#options.store.forgetOrder();
    }
  }

  #seen(version: string): void {
    this.#newest = version;
    this.#options.store.advance(version);
    this.#options.metrics?.stored.set({ name: this.#name }, this.#options.store.size);
  }

  #transform(object: T): T {
    return this.#options.transform?.(object) ?? object;
  }
}

/** Whether a new list is the only way on. */
function versionIsUseless(error: KubeError): boolean {
  // 504 is how the server says that a version is too large: it is one that it does not know yet. 404 is not among them:
  // that is how a server that is starting up answers for kinds that CRDs define.
  return [400, 504].includes(error.status) || error.reason === 'BadAnswer' || isGone(error);
}

function asKubeError(error: unknown): KubeError {
  return error instanceof KubeError
    ? error
    : new KubeError({ status: 0, reason: 'Internal', message: String(error), cause: error });
}
