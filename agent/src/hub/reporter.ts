// Sends the machine's newest state, at once, until the hub has it: after a reconnect it goes out again.
import type { MachineState } from '@floe/crds/protocol';

type Send = (seq: number, state: MachineState) => void;

/**
 * A report does not wait for the acknowledgement of the one before: the hub takes its time to store a phase on the way,
 * so that a quick succession is one write, and the end of an attempt must not wait behind it.
 */
export class Reporter {
  #state: MachineState | undefined;
  #send: Send | undefined;
  /** Number of the report that was sent last on this connection. */
  #seq = 0;
  #stored: MachineState | undefined;

  /** The state that the hub said it has stored. */
  get stored(): MachineState | undefined {
    return this.#stored;
  }

  /** Takes the newest state and sends it when it is news and there is a connection. */
  update(state: MachineState): void {
    if (this.#state !== undefined && JSON.stringify(this.#state) === JSON.stringify(state)) return;
    this.#state = state;
    this.#report();
  }

  /** A new connection: the newest state goes out, whatever was acknowledged before. */
  attach(send: Send): void {
    this.#send = send;
    this.#seq = 0;
    this.#report();
  }

  /** The connection is gone; what was not acknowledged counts as not sent. */
  detach(): void {
    this.#send = undefined;
  }

  /** Everything up to this report is stored. */
  acknowledged(seq: number): void {
    if (this.#seq > 0 && seq >= this.#seq) this.#stored = this.#state;
  }

  #report(): void {
    if (this.#send === undefined || this.#state === undefined) return;
    this.#seq += 1;
    this.#send(this.#seq, this.#state);
  }
}
