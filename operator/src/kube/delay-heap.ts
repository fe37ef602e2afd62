// Keys by the time at which they are due: a binary min-heap with a position for each key.

interface Entry {
  readonly key: string;
  at: number;
}

/** Each key is in it at most once, with the earliest time it was offered for. */
export class DelayHeap {
  readonly #entries: Entry[] = [];
  readonly #positions = new Map<string, number>();

  get size(): number {
    return this.#entries.length;
  }

  /** Time of the key that is due first. */
  get first(): number | undefined {
    return this.#entries[0]?.at;
  }

  /** Adds a key, or moves it forward if `at` is earlier than its time. */
  offer(key: string, at: number): void {
    const position = this.#positions.get(key);
    const entry = position === undefined ? undefined : this.#entries[position];
    if (position === undefined || entry === undefined) {
      this.#entries.push({ key, at });
      this.#positions.set(key, this.#entries.length - 1);
      this.#up(this.#entries.length - 1);
    } else if (at < entry.at) {
      entry.at = at;
      this.#up(position);
    }
  }

  /** Takes a key out, wherever it is. */
  remove(key: string): void {
    const position = this.#positions.get(key);
    if (position === undefined) {
      return;
    }
    this.#positions.delete(key);
    const last = this.#entries.pop();
    if (last === undefined || position === this.#entries.length) {
      return;
    }
    this.#place(last, position);
    this.#up(position);
    this.#down(this.#positions.get(last.key) ?? position);
  }

  /** Takes out the keys that are due at `now`, the earliest first. */
  takeDue(now: number): string[] {
    const due: string[] = [];
    for (let entry = this.#entries[0]; entry !== undefined && entry.at <= now; entry = this.#entries[0]) {
      this.remove(entry.key);
      due.push(entry.key);
    }
    return due;
  }

  #place(entry: Entry, position: number): void {
    this.#entries[position] = entry;
    this.#positions.set(entry.key, position);
  }

  #up(start: number): void {
    let position = start;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (!this.#swapIfLater(parent, position)) {
        return;
      }
      position = parent;
    }
  }

  #down(start: number): void {
    for (let position = start; ; ) {
      const left = 2 * position + 1;
      const right = left + 1;
      const child = this.#at(right) < this.#at(left) ? right : left;
      if (!this.#swapIfLater(position, child)) {
        return;
      }
      position = child;
    }
  }

  #at(position: number): number {
    return this.#entries[position]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Swaps parent and child when the parent is due later than the child. */
  #swapIfLater(parent: number, child: number): boolean {
    const a = this.#entries[parent];
    const b = this.#entries[child];
    if (a === undefined || b === undefined || a.at <= b.at) {
      return false;
    }
    this.#place(b, parent);
    this.#place(a, child);
    return true;
  }
}
