// Tells people what happened to an object, as Events that `kubectl describe` shows; never a reason to fail or to wait.

import { randomBytes } from 'node:crypto';
import { plainText } from '@floe/crds/plain-text';
import type { Logger } from 'pino';
import type { KubeEvent } from './builtin.ts';
import type { KubeClient } from './client.ts';
import { isNotFound, KubeError } from './error.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';
import { type KubeObject, keyOf } from './object.ts';
import { pause } from './pause.ts';
import { events } from './resource.ts';

/** What happened. */
export interface Happening {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase word that names the kind of thing that happened. */
  readonly reason: string;
  /** A sentence for people; cut at 1,024 bytes. */
  readonly message: string;
  /** CamelCase word for what Floe did or tried; default the reason. */
  readonly action?: string;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'mergePatch'>;
  /** Name of the process that reports, the pod's name for instance. */
  readonly instance: string;
  readonly log: Logger;
  readonly metrics?: KubeMetrics | undefined;
}

/** Events that wait to be sent at most; more are dropped. */
const PENDING = 1000;
/** Kinds of events that are remembered at most, so that a repetition counts up instead of making another Event. */
const REMEMBERED = 4096;
/** How long after its last occurrence a repetition belongs to the same Event. */
const SERIES_MS = 360_000;
/** Events about one object: so many at once, and then one in so many milliseconds. */
const BURST = 25;
const REFILL_MS = 60_000;
/** How often a single Event is tried. */
const TRIES = 3;

interface Series {
  readonly event: KubeEvent;
  count: number;
  /** How many of them the API server knows of. */
  sent: number;
  last: number;
  tries: number;
}

/** Takes what happened and sends it in the background, one Event for repetitions of the same. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** By what makes two events the same; oldest first. */
  readonly #series = new Map<string, Series>();
  readonly #pending = new Set<Series>();
  readonly #budgets = new Map<string, { tokens: number; at: number }>();
  #wake: () => void = () => undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Notes what happened to an object. Returns at once and never throws. */
  event(regarding: KubeObject, said: Happening): void {
    const happening = { ...said, message: plainText(said.message) };
    const now = Date.now();
    const object = regarding.metadata.uid ?? keyOf(regarding);
    if (!this.#allowed(object, now)) {
      this.#drop('rate_limited');
      return;
    }
    const key = JSON.stringify([object, happening.type, happening.reason, happening.action, happening.message]);
    const known = this.#series.get(key);
    const series =
      known !== undefined && now - known.last < SERIES_MS
        ? known
        : { event: this.#newEvent(regarding, happening, now), count: 0, sent: 0, last: now, tries: 0 };
    series.count += 1;
    series.last = now;
    this.#series.delete(key);
    this.#series.set(key, series);
    trim(this.#series, REMEMBERED);
    if (this.#pending.size >= PENDING && !this.#pending.has(series)) {
      this.#drop('queue_full');
      return;
    }
    this.#pending.add(series);
    this.#wake();
  }

  /** Sends until `signal` is aborted; resolves then, and never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const [series] = this.#pending;
      if (series === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#pending.delete(series);
      await this.#send(series, signal);
    }
  }

  async #send(series: Series, signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options;
    const { event, count } = series;
    try {
      if (series.sent === 0) {
        await client.create(events, withSeries(event, series), { signal });
      } else {
        const { name, namespace } = event.metadata;
        await client.mergePatch(events, { name, namespace }, pick(withSeries(event, series)), { signal });
      }
      series.sent = count;
      series.tries = 0;
    } catch (error) {
      series.tries += 1;
      if (isNotFound(error) || series.tries >= TRIES) {
        // The Event has expired, or its namespace is gone; the next occurrence makes a new one.
        this.#forget(series);
        this.#drop('refused');
        log.debug({ err: error, reason: event.reason, regarding: event.regarding }, 'an Event could not be written');
        return;
      }
      const seconds = (error instanceof KubeError ? error.retryAfterSeconds : undefined) ?? series.tries;
      await pause(Math.min(seconds, 30), signal);
      this.#pending.add(series);
    }
  }

  #newEvent(regarding: KubeObject, happening: Happening, now: number): KubeEvent {
    const { name, namespace = 'default', uid, resourceVersion } = regarding.metadata;
    return {
      apiVersion: events.apiVersion,
      kind: events.kind,
      metadata: { name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}`, namespace },
      eventTime: microTime(new Date(now)),
      reportingController: 'floe.dev/operator',
      reportingInstance: this.#options.instance.slice(0, 128),
      action: (happening.action ?? happening.reason).slice(0, 128),
      reason: happening.reason.slice(0, 128),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name,
        namespace,
        ...(uid && { uid }),
        ...(resourceVersion && { resourceVersion }),
      },
      note: cutBytes(happening.message, 1024),
      type: happening.type,
    };
  }

  #allowed(object: string, now: number): boolean {
    const budget = this.#budgets.get(object) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, budget.tokens + (now - budget.at) / REFILL_MS);
    this.#budgets.delete(object);
    this.#budgets.set(object, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    trim(this.#budgets, REMEMBERED);
    return tokens >= 1;
  }

  #forget(series: Series): void {
    for (const [key, known] of this.#series) {
      if (known === series) {
        this.#series.delete(key);
        return;
      }
    }
  }

  #drop(reason: string): void {
    this.#options.metrics?.droppedEvents.inc({ reason });
  }
}

function withSeries(event: KubeEvent, { count, last }: Series): KubeEvent {
  return count === 1 ? event : { ...event, series: { count, lastObservedTime: microTime(new Date(last)) } };
}

/** The only part of an Event that may change. */
function pick({ series }: KubeEvent): Pick<KubeEvent, 'series'> {
  return series === undefined ? {} : { series };
}

/** Removes the oldest entries. */
function trim(map: Map<string, unknown>, size: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= size) {
      return;
    }
    map.delete(oldest);
  }
}

/** Cuts a text to a number of bytes of UTF-8, at a whole character, with an ellipsis. */
function cutBytes(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) {
    return text;
  }
  return `${new TextDecoder().decode(encoded.subarray(0, bytes - 3)).replace(/(?<!\uFFFD)\uFFFD+$/, '')}…`;
}
