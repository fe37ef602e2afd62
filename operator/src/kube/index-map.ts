// One named index of a store: the keys of the objects that a function files under each value.

/** Values under which an index files an object; none leaves it out. */
export type IndexFunction<T> = (object: T) => readonly string[];

export class IndexMap<T> {
  readonly #values: IndexFunction<T>;
  readonly #keys = new Map<string, Set<string>>();

  constructor(values: IndexFunction<T>) {
    this.#values = values;
  }

  /** The keys filed under `value`. */
  keys(value: string): ReadonlySet<string> | undefined {
    return this.#keys.get(value);
  }

  /** Moves a key from where the old object is filed to where the new one is. */
  move(key: string, old: T | undefined, object: T | undefined): void {
    const after = object === undefined ? [] : this.#values(object);
    for (const value of old === undefined ? [] : this.#values(old)) {
      if (!after.includes(value)) {
        this.#remove(key, value);
      }
    }
    for (const value of after) {
      const keys = this.#keys.get(value);
      if (keys === undefined) {
        this.#keys.set(value, new Set([key]));
      } else {
        keys.add(key);
      }
    }
  }

  #remove(key: string, value: string): void {
    const keys = this.#keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) {
      this.#keys.delete(value);
    }
  }
}
