// Remembers which way to the hub works, so that a proxy that lets no WebSocket through costs one failure and not one each time.
import type { Transport } from './hub-socket.ts';

/** Kept as long as the process lives; one for all its connections. */
export class TransportMemory {
  #preferred: Transport = 'websocket';

  /** What to try first. */
  get preferred(): Transport {
    return this.#preferred;
  }

  /** This way led to a hub. */
  worked(transport: Transport): void {
    this.#preferred = transport;
  }

  /** The long poll led nowhere: the WebSocket has its turn again. */
  pollFailed(): void {
    this.#preferred = 'websocket';
  }
}
