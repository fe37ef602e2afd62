// Wakes whoever waits for something to change.

export class Bell {
  #ring: () => void = () => undefined;
  #next: Promise<void> = this.#anew();

  /** Fulfilled with the next ring. To be read before one looks at what may change, so that no change is missed. */
  get next(): Promise<void> {
    return this.#next;
  }

  ring(): void {
    const ring = this.#ring;
    this.#next = this.#anew();
    ring();
  }

  #anew(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve;
    });
  }
}

/** Resolves with `ring`, which was read before; rejects with the signal's reason. */
export async function heard(ring: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let stop: () => void = () => undefined;
  const stopped = new Promise((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  await Promise.race([ring, stopped]).finally(() => signal.removeEventListener('abort', stop));
}
