// Who is connected to this replica, and who has just left.
import type { Connection } from './connection.ts';

/** The sessions of this replica by machine, newest wins, and a grace for those that left. */
export class Roster {
  readonly #sessions = new Map<string, Connection>();
  readonly #leaving = new Map<string, NodeJS.Timeout>();
  readonly #graceMs: number;

  constructor({ graceSeconds }: { graceSeconds: number }) {
    this.#graceMs = graceSeconds * 1000;
  }

  get(key: string): Connection | undefined {
    return this.#sessions.get(key);
  }

  get sessions(): Iterable<Connection> {
    return this.#sessions.values();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Whether the machine left so short a time ago that it may still come back unnoticed. */
  isLeaving(key: string): boolean {
    return this.#leaving.has(key);
  }

  /** Enters a session; returns the one whose place it takes. */
  enter(key: string, connection: Connection): Connection | undefined {
    const before = this.#sessions.get(key);
    this.#sessions.set(key, connection);
    this.#stay(key);
    return before;
  }

  /** Removes a session if it is still the one of its machine; says whether it was. */
  leave(key: string, connection: Connection): boolean {
    if (this.#sessions.get(key) !== connection) return false;
    this.#sessions.delete(key);
    return true;
  }

  /** Calls `gone` after the grace, unless the machine comes back before. */
  afterGrace(key: string, gone: () => void): void {
    this.#stay(key);
    const timer = setTimeout(() => {
      this.#leaving.delete(key);
      gone();
    }, this.#graceMs);
    this.#leaving.set(key, timer.unref());
  }

  /** Ends all waiting. */
  clear(): void {
    for (const key of [...this.#leaving.keys()]) this.#stay(key);
  }

  #stay(key: string): void {
    clearTimeout(this.#leaving.get(key));
    this.#leaving.delete(key);
  }
}
