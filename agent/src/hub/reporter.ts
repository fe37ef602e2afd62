// Sends the machine's newest state until the hub has it: a few reports under way at a time, and what changes beyond is one more.
import type { MachineState } from '@floe/crds/protocol';

type Send = (seq: number, state: MachineState) => void;

/** Reports that may wait for their acknowledgement. While the API server is away no more than these are sent. */
const WINDOW = 4;

/** The end of an attempt is not held back: others wait for it. */
function endOf(state: MachineState | undefined): string | undefined {
  const attempt = state?.attempt;
  return attempt?.finishedAt === undefined ? undefined : `${attempt.desiredId} ${attempt.to} ${attempt.phase}`;
}

export class Reporter {
  #state: MachineState | undefined;
  #send: Send | undefined;
  /** Number of the report that was sent last on this connection, and of the one that was acknowledged last. */
  #sent = 0;
  #acknowledged = 0;
  #sentState: MachineState | undefined;

  /** Takes the newest state; sends it if it differs from the last one and the hub keeps up. */
  update(state: MachineState): void {
    this.#state = state;
    this.#flush();
  }

  /** A new connection: the newest state goes out, whatever was acknowledged before. */
  attach(send: Send): void {
    this.#send = send;
    this.#sent = 0;
    this.#acknowledged = 0;
    this.#sentState = undefined;
    this.#flush();
  }

  /** The connection is gone; what was under way counts as not sent. */
  detach(): void {
    this.#send = undefined;
  }

  /** Everything up to this report is stored. */
  acknowledged(seq: number): void {
    this.#acknowledged = Math.min(this.#sent, Math.max(this.#acknowledged, seq));
    this.#flush();
  }

  #flush(): void {
    if (this.#send === undefined || this.#state === undefined) return;
    if (JSON.stringify(this.#state) === JSON.stringify(this.#sentState)) return;
    const end = endOf(this.#state);
    const urgent = end !== undefined && end !== endOf(this.#sentState);
    if (this.#sent - this.#acknowledged >= WINDOW && !urgent) return;
    this.#sent += 1;
    this.#sentState = this.#state;
    this.#send(this.#sent, this.#state);
  }
}
