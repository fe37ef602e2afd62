// Sends the machine's newest state until the hub has it: one report under way at a time, what changes meanwhile is one more.
import type { MachineState } from '@floe/crds/protocol';

type Send = (seq: number, state: MachineState) => void;

export class Reporter {
  #state: MachineState | undefined;
  #send: Send | undefined;
  /** Number of the report under way on this connection; 0 for none. */
  #underWay = 0;
  #seq = 0;
  /** Whether the state differs from the one that was sent last. */
  #changed = false;
  #stored: MachineState | undefined;

  /** The state that the hub said it has stored. */
  get stored(): MachineState | undefined {
    return this.#stored;
  }

  /** Takes the newest state; sends it when nothing is under way. */
  update(state: MachineState): void {
    if (this.#state !== undefined && JSON.stringify(this.#state) === JSON.stringify(state)) return;
    this.#state = state;
    this.#changed = true;
    this.#flush();
  }

  /** A new connection: the newest state goes out, whatever was acknowledged before. */
  attach(send: Send): void {
    this.#send = send;
    this.#seq = 0;
    this.#underWay = 0;
    this.#changed = true;
    this.#flush();
  }

  /** The connection is gone; what was under way counts as not sent. */
  detach(): void {
    this.#send = undefined;
  }

  /** Everything up to this report is stored. */
  acknowledged(seq: number): void {
    if (seq < this.#underWay || this.#underWay === 0) return;
    this.#underWay = 0;
    if (!this.#changed) this.#stored = this.#state;
    this.#flush();
  }

  #flush(): void {
    if (this.#send === undefined || this.#state === undefined || this.#underWay !== 0 || !this.#changed) return;
    this.#seq += 1;
    this.#underWay = this.#seq;
    this.#changed = false;
    this.#send(this.#seq, this.#state);
  }
}
