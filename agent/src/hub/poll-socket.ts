// The hub over plain HTTPS requests: one after the other, and each may be lost or doubled without harm.
import { setTimeout as sleep } from 'node:timers/promises';
import type { PollAnswer } from '@floe/crds/poll';
import type { AgentMessage, HubMessage } from '@floe/crds/protocol';
import { MAX_POLL_BYTES, MAX_POLL_MESSAGES, POLL_HOLD_SECONDS } from '@floe/crds/protocol-limits';
import type { Address, Ended, HubSocket } from './hub-socket.ts';
import { Inbox } from './inbox.ts';
import { type PollOutcome, postPoll } from './poll-request.ts';
import { type Route, routeTo } from './route.ts';

/** Seconds that the hub is asked to hold a request right after something was said; doubled with each quiet one. */
const FIRST_WAIT = 1;
/** Pauses before a request that got no answer is sent again; after the last the connection counts as dead. */
const RETRY_MS = [500, 1_000, 2_000, 4_000];
/** Seconds that an answer may take beyond what the hub was asked to wait. */
const ANSWER_SECONDS = 10;
/** Room for the envelope around messages. */
const ENVELOPE_BYTES = 1024;
const POLICY = 1008;

/** Opens a channel. The socket is returned at once; `ended` says if it never opened. */
export function dialPoll(address: Address): HubSocket {
  const socket = new PollSocket(address);
  void socket.run();
  return socket;
}

class PollSocket implements HubSocket {
  readonly transport = 'poll';
  unanswered = 0;
  readonly #address: Address;
  readonly #target: URL;
  readonly #over = new AbortController();
  readonly #route: Route;
  readonly #inbox = new Inbox();
  /** Messages that the hub has not acknowledged, as JSON, and how many it has. */
  readonly #outbox: string[] = [];
  #acknowledged = 0;
  #received = 0;
  #channel: string | undefined;
  #cookies: readonly string[] = [];
  #wait = FIRST_WAIT;
  #longest = POLL_HOLD_SECONDS;

  constructor(address: Address) {
    this.#address = address;
    this.#target = new URL('/agent/poll', address.url);
    this.#route = routeTo(address, this.#over.signal);
  }

  get ended(): Promise<Ended> {
    return this.#inbox.ended;
  }

  /** Goes out with the next request, after `#wait` seconds at the latest. */
  send(message: AgentMessage): void {
    if (!this.#inbox.isEnded) this.#outbox.push(JSON.stringify(message));
  }

  /** Some request is always under way; its answer is the sign of life. */
  ping(): void {
    this.unanswered += 1;
  }

  receive(signal: AbortSignal): Promise<HubMessage | undefined> {
    return this.#inbox.next(signal);
  }

  close(code: number, reason: string): void {
    if (this.#inbox.isEnded) return;
    const channel = this.#channel;
    const last = this.#body(0, { code, reason: reason.slice(0, 100) });
    this.#end(reason);
    // A courtesy, over a connection of its own: the request that was held has just been cut off.
    if (channel !== undefined) void this.#sayGoodbye(channel, last);
  }

  /** Asks until the connection ends. Never rejects. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#inbox.isEnded) {
      const wait = Math.min(this.#wait, this.#longest);
      const before = { said: this.#outbox.length > 0, received: this.#received, at: performance.now() };
      const outcome = await this.#post(wait);
      if (this.#inbox.isEnded) return;
      if (outcome.kind === 'answer') {
        failures = 0;
        this.#take(outcome.answer, outcome.cookies);
        await this.#settle(wait, before);
        continue;
      }
      const pause = RETRY_MS[failures];
      // Opening is not tried again here: a new connection has a challenge of its own.
      if (outcome.kind === 'refused' || this.#channel === undefined || pause === undefined) {
        this.#end(outcome.message);
        return;
      }
      failures += 1;
      // A proxy may give up on a request sooner than the hub answers it.
      this.#longest = Math.max(FIRST_WAIT, Math.min(this.#longest, wait / 2));
      await this.#pause(pause * (0.5 + Math.random() / 2));
    }
  }

  /** After an answer: the quieter it is, the longer the next request may be held. */
  async #settle(wait: number, before: { said: boolean; received: number; at: number }): Promise<void> {
    const quiet = !before.said && this.#received === before.received && this.#outbox.length === 0;
    this.#wait = quiet ? Math.min(wait * 2, this.#longest) : FIRST_WAIT;
    // Who answers at once with nothing new, a cache in between for instance, is not asked in a circle.
    if (quiet && performance.now() - before.at < (wait * 1000) / 2) await this.#pause(FIRST_WAIT * 1000);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => undefined);
  }

  async #post(wait: number): Promise<PollOutcome> {
    const limit = AbortSignal.timeout((wait + ANSWER_SECONDS) * 1000);
    return await postPoll({
      target: this.#target,
      route: this.#route,
      channel: this.#channel,
      cookies: this.#cookies,
      body: this.#channel === undefined ? '{}' : this.#body(wait),
      signal: AbortSignal.any([limit, this.#over.signal]),
    });
  }

  #body(wait: number, close?: { code: number; reason: string }): string {
    const batch: string[] = [];
    let bytes = ENVELOPE_BYTES;
    for (const text of this.#outbox.slice(0, MAX_POLL_MESSAGES)) {
      bytes += Buffer.byteLength(text) + 1;
      if (batch.length > 0 && bytes > MAX_POLL_BYTES) break;
      batch.push(text);
    }
    const head = JSON.stringify({
      ack: this.#received,
      first: this.#acknowledged + 1,
      wait,
      ...(close === undefined ? {} : { close }),
    });
    return `${head.slice(0, -1)},"messages":[${batch.join(',')}]}`;
  }

  #take(answer: PollAnswer, cookies: readonly string[]): void {
    this.unanswered = 0;
    this.#channel ??= answer.channel;
    if (cookies.length > 0) this.#cookies = cookies;
    const fault = this.#acknowledge(answer.ack) ?? this.#read(answer);
    const { closed } = answer;
    if (fault !== undefined) this.close(POLICY, fault);
    else if (this.#channel === undefined) this.#end('what answers is no hub: it opened no channel');
    else if (closed !== undefined) this.#end(`closed with code ${closed.code}: ${closed.reason.slice(0, 200)}`);
  }

  #acknowledge(count: number): string | undefined {
    const news = count - this.#acknowledged;
    if (news > this.#outbox.length) return 'the hub acknowledges what was never sent';
    if (news <= 0) return undefined;
    this.#outbox.splice(0, news);
    this.#acknowledged += news;
    return undefined;
  }

  /** What was sent twice, because an answer was lost, is taken once. */
  #read({ first, messages }: PollAnswer): string | undefined {
    if (first > this.#received + 1) return 'a message of the hub is missing';
    for (const message of messages.slice(this.#received + 1 - first)) {
      this.#received += 1;
      const fault = this.#inbox.take(message);
      if (fault !== undefined) return fault;
      this.#heed(message);
    }
    return undefined;
  }

  /** A hub that wants frequent signs of life is asked as often. */
  #heed({ type, heartbeatSeconds }: { readonly type: string; readonly heartbeatSeconds?: unknown }): void {
    if (type === 'welcome' && typeof heartbeatSeconds === 'number') {
      this.#longest = Math.min(this.#longest, heartbeatSeconds);
    }
  }

  #end(reason: string): void {
    this.#inbox.end({ reason, blocked: false });
    this.#over.abort();
    this.#route.agent.destroy();
  }

  async #sayGoodbye(channel: string, body: string): Promise<void> {
    const signal = AbortSignal.timeout(5_000);
    const route = routeTo(this.#address, signal);
    await postPoll({ target: this.#target, route, channel, cookies: this.#cookies, body, signal });
    route.agent.destroy();
  }
}
