// Messages of the hub that came in and were not read yet: checked, bounded, and waited for.
import { parseHubMessage } from '@floe/crds/parse-hub';
import type { HubMessage } from '@floe/crds/protocol';
import type { Ended } from './hub-socket.ts';

/** Messages that may wait to be read; a hub that sends more has lost its mind. */
const MAX_WAITING = 256;

export class Inbox {
  readonly ended: Promise<Ended>;
  /** Messages that ever came in. */
  count = 0;
  readonly #waiting: HubMessage[] = [];
  #wake: () => void = () => undefined;
  #end: Ended | undefined;
  #resolve: (end: Ended) => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Takes what came in; returns why it is refused, or nothing. */
  take(value: unknown): string | undefined {
    const parsed = parseHubMessage(value);
    if (!parsed.ok) return `a message of the hub is malformed: ${parsed.field}: ${parsed.message}`;
    if (this.#waiting.length >= MAX_WAITING) return 'the hub sends faster than it is read';
    this.count += 1;
    this.#waiting.push(parsed.value);
    this.#wake();
    return undefined;
  }

  /** The connection is over; what came before can still be read. */
  end(end: Ended): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#wake();
    this.#resolve(end);
  }

  async next(signal: AbortSignal): Promise<HubMessage | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const message = this.#waiting.shift();
      if (message !== undefined) return message;
      if (this.#end !== undefined) return undefined;
      await this.#change(signal);
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
    });
  }
}
