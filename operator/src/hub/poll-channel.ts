// One agent over long poll: makes numbered batches in requests and answers look like a socket to the hub.
import { randomBytes } from 'node:crypto';
import type { PollAnswer, PollRequest } from '@floe/crds/poll';
import {
  MAX_MESSAGE_BYTES,
  MAX_POLL_BYTES,
  MAX_POLL_MESSAGES,
  POLL_GAP_SECONDS,
  POLL_HOLD_SECONDS,
} from '@floe/crds/protocol-limits';
import type { AgentSocket } from './connection.ts';

/** What a channel tells the hub; the calls of one request come in this order. */
export interface PollListener {
  /** A request came: a sign of life. */
  onAlive(): void;
  /** A message that was not there before. */
  onText(text: string): void;
  /** The agent skipped a message: the channel can't be trusted any more. */
  onGap(message: string): void;
  /** The channel has ended, for whatever reason. Once. */
  onGone(): void;
}

type Reply = (answer: PollAnswer) => void;

/** Close code of RFC 6455 for a message that is too large. */
const TOO_LARGE = 1009;
/** Bytes that go around the messages of an answer. */
const ENVELOPE_BYTES = 1024;

export class PollChannel implements AgentSocket {
  /** The channel's name, 256 bits that nobody can guess. Never logged. */
  readonly id: string = randomBytes(32).toString('base64url');
  /** Set once, before the first request. */
  listener: PollListener | undefined;
  readonly #outbox: string[] = [];
  #outboxBytes = 0;
  /** Messages of the hub that the agent has; those in the outbox follow. */
  #acknowledged = 0;
  /** Messages of the agent that came in. */
  #received = 0;
  #closed: { code: number; reason: string } | undefined;
  #held: { readonly reply: Reply; readonly timer: NodeJS.Timeout } | undefined;
  #gap: NodeJS.Timeout | undefined;
  #flushing = false;

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  get bufferedAmount(): number {
    return this.#outboxBytes;
  }

  send(text: string): void {
    if (this.isClosed) return;
    this.#outbox.push(text);
    this.#outboxBytes += Buffer.byteLength(text);
    this.#flushSoon();
  }

  /** Nothing to do: each request is a sign of life. */
  ping(): void {}

  close(code: number, reason: string): void {
    if (this.isClosed) return;
    this.#closed = { code, reason: reason.slice(0, 256) };
    clearTimeout(this.#gap);
    this.#flushSoon();
    // Not in the middle of what closes it.
    queueMicrotask(() => this.listener?.onGone());
  }

  /** Answers the request that opens the channel: with what the hub has said to it at once. */
  open(reply: Reply): void {
    reply({ channel: this.id, ...this.#answer() });
    this.#awaitNext();
  }

  /**
   * Takes one request; `reply` is called once, at the latest after the time that it asks for. Returns what to call when
   * the connection that it came by is gone before.
   */
  take(request: PollRequest, reply: Reply): () => void {
    this.#release();
    clearTimeout(this.#gap);
    if (!this.isClosed) this.#read(request);
    this.#forget(request.ack);
    if (request.close !== undefined) this.close(request.close.code, request.close.reason);
    if (this.#outbox.length > 0 || this.isClosed) {
      reply(this.#answer());
      this.#awaitNext();
      return () => undefined;
    }
    const seconds = Math.min(request.wait, POLL_HOLD_SECONDS);
    const held = { reply, timer: setTimeout(() => this.#release(), seconds * 1000) };
    this.#held = held;
    return () => {
      if (this.#held !== held) return;
      clearTimeout(held.timer);
      this.#held = undefined;
      this.#awaitNext();
    };
  }

  /** Ends all waiting, without a word. */
  [Symbol.dispose](): void {
    clearTimeout(this.#gap);
    clearTimeout(this.#held?.timer);
    this.#held = undefined;
  }

  #read({ first, messages }: PollRequest): void {
    const { listener } = this;
    listener?.onAlive();
    if (first > this.#received + 1) {
      listener?.onGap(`message ${this.#received + 1} is missing: the batch begins with ${first}`);
      return;
    }
    // What was sent twice because an answer was lost is taken once.
    for (const message of messages.slice(this.#received + 1 - first)) {
      this.#received += 1;
      if (this.isClosed) continue;
      const text = JSON.stringify(message);
      if (Buffer.byteLength(text) > MAX_MESSAGE_BYTES) this.close(TOO_LARGE, 'a message is too large');
      else listener?.onText(text);
    }
  }

  #forget(acknowledged: number): void {
    const count = Math.min(acknowledged - this.#acknowledged, this.#outbox.length);
    if (count <= 0) return;
    for (const text of this.#outbox.splice(0, count)) this.#outboxBytes -= Buffer.byteLength(text);
    this.#acknowledged += count;
  }

  #answer(): PollAnswer {
    const messages: PollAnswer['messages'] = [];
    let bytes = ENVELOPE_BYTES;
    for (const text of this.#outbox) {
      bytes += Buffer.byteLength(text) + 1;
      if (messages.length >= MAX_POLL_MESSAGES || (messages.length > 0 && bytes > MAX_POLL_BYTES)) break;
      messages.push(JSON.parse(text) as { type: string });
    }
    const isAll = messages.length === this.#outbox.length;
    return {
      ack: this.#received,
      first: this.#acknowledged + 1,
      messages,
      ...(this.#closed !== undefined && isAll ? { closed: this.#closed } : {}),
    };
  }

  /** Answers the request that is held, with what there is. */
  #release(): void {
    const held = this.#held;
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#held = undefined;
    held.reply(this.#answer());
    this.#awaitNext();
  }

  /** What is said in one go travels in one answer. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#release();
    });
  }

  #awaitNext(): void {
    clearTimeout(this.#gap);
    if (this.isClosed) return;
    this.#gap = setTimeout(() => this.close(4000, 'no request in time'), POLL_GAP_SECONDS * 1000);
  }
}
