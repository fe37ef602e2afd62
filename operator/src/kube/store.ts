// What the API server is known to hold of one kind: objects by key, named indexes over them, deltas to subscribers.
import { type IndexFunction, IndexMap } from './index-map.ts';
import { type KubeObject, keyOf } from './object.ts';
import { compareVersions } from './resource-version.ts';

export type { IndexFunction } from './index-map.ts';

/** One change of a store. Subscribers get it synchronously and must only enqueue keys. */
export interface Delta<T extends KubeObject> {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly key: string;
  /** The object before the change; absent when it was added. */
  readonly old?: T;
  /** The object after the change; when deleted, the last that was known. */
  readonly object: T;
  /** True when a list brought it (start or relist) rather than a change just made: enqueue it with low priority. */
  readonly initial: boolean;
}

/** Removed keys that are remembered at most. */
const TOMBSTONES = 4096;

/**
 * A cache of one kind. Objects are shared, not copied: treat them as read-only.
 *
 * Both the watch and Floe's own writes fill it, in any order, and it never goes back:
 * - `put` ignores an object that is not newer than the stored one;
 * - `put` ignores an object that is not newer than the removal of its key (tombstone);
 * - `put` of an absent key ignores an object no newer than what the watch has shown in full (`advance`): were the object
 *   still there, the store would have it. So the echo of an own write cannot resurrect what the watch saw deleted.
 */
export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, IndexMap<T>>();
  readonly #subscribers = new Set<(delta: Delta<T>) => void>();
  /** Resource version at which each key was removed, oldest first. */
  readonly #tombstones = new Map<string, string>();
  /** The store has seen everything up to this version. */
  #seen: string | undefined;
  /** Keys whose stored version says nothing about what comes next. */
  #unordered = new Set<string>();

  /** What of an object is kept. */
  readonly #kept: (object: T) => T;

  /** `managedFields`: keep them, for the few objects where it matters who wrote what. Default false. */
  constructor(
    options: { readonly indexes?: Readonly<Record<string, IndexFunction<T>>>; readonly managedFields?: boolean } = {},
  ) {
    this.#kept = options.managedFields === true ? (object) => object : dropManagedFields;
    for (const [name, values] of Object.entries(options.indexes ?? {})) {
      this.#indexes.set(name, new IndexMap(values));
    }
  }

  get size(): number {
    return this.#objects.size;
  }

  /** The object with this key (`namespace/name`), if there is one. */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** All objects, as a new array in no particular order. */
  list(): T[] {
    return [...this.#objects.values()];
  }

  /** All keys; the iterator is live. */
  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  /** The objects that the named index files under `value`. Throws a TypeError when there is no such index. */
  by(index: string, value: string): T[] {
    const found: T[] = [];
    for (const key of this.#index(index).keys(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) {
        found.push(object);
      }
    }
    return found;
  }

  /** How many objects the named index files under `value`. */
  count(index: string, value: string): number {
    return this.#index(index).keys(value)?.size ?? 0;
  }

  /** Stores an object unless something newer is known; says whether it did. */
  put(given: T, options: { readonly initial?: boolean } = {}): boolean {
    const key = keyOf(given);
    const old = this.#objects.get(key);
    const initial = options.initial ?? false;
    if (!this.#isNews(key, old, given.metadata.resourceVersion, initial)) {
      return false;
    }
    const object = this.#kept(given);
    this.#tombstones.delete(key);
    this.#objects.set(key, object);
    this.#reindex(key, old, object);
    this.#publish(
      old === undefined ? { type: 'added', key, object, initial } : { type: 'updated', key, old, object, initial },
    );
    return true;
  }

  /**
   * Removes an object unless the stored one is newer than `version`, the resource version of the removal. Without a
   * version it is removed as it is. Says whether it did.
   */
  remove(key: string, version?: string, options: { readonly initial?: boolean } = {}): boolean {
    const old = this.#objects.get(key);
    const stored = old?.metadata.resourceVersion;
    if (!this.#unordered.delete(key) && (compareVersions(stored, version) ?? 0) > 0) {
      return false;
    }
    this.#bury(key, version ?? stored);
    if (old === undefined) {
      return false;
    }
    this.#objects.delete(key);
    this.#reindex(key, old, undefined);
    this.#publish({ type: 'deleted', key, old, object: old, initial: options.initial ?? false });
    return true;
  }

  /** Tells the store that it has seen every change up to `version`; called by the reflector only. */
  advance(version: string): void {
    this.#seen = version;
    for (const [key, buried] of this.#tombstones) {
      if ((compareVersions(buried, version) ?? -1) > 0) {
        break;
      }
      this.#tombstones.delete(key);
    }
  }

  /**
   * Forgets what is newer than what: called by the reflector when the API server itself went back in time (etcd was
   * restored), so that the coming list is taken as it is.
   */
  forgetOrder(): void {
    this.#seen = undefined;
    this.#tombstones.clear();
    this.#unordered = new Set(this.#objects.keys());
  }

  /** Calls `subscriber` at each change until the returned function is called. A subscriber must not throw. */
  subscribe(subscriber: (delta: Delta<T>) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  #isNews(key: string, old: T | undefined, version: string | undefined, listed: boolean): boolean {
    if (old !== undefined) {
      if (this.#unordered.delete(key)) {
        return true;
      }
      // Without an order between the two, the later arrival wins.
      return (compareVersions(version, old.metadata.resourceVersion) ?? 1) > 0;
    }
    if ((compareVersions(version, this.#tombstones.get(key)) ?? 1) <= 0) {
      return false;
    }
    // A list is newer than all that was seen, whatever the versions of its items.
    return listed || (compareVersions(version, this.#seen) ?? 1) > 0;
  }

  #bury(key: string, version: string | undefined): void {
    if (version === undefined || (compareVersions(version, this.#seen) ?? 1) <= 0) {
      return;
    }
    this.#tombstones.delete(key);
    this.#tombstones.set(key, version);
    for (const oldest of this.#tombstones.keys()) {
      if (this.#tombstones.size <= TOMBSTONES) {
        break;
      }
      this.#tombstones.delete(oldest);
    }
  }

  #reindex(key: string, old: T | undefined, object: T | undefined): void {
    for (const index of this.#indexes.values()) {
      index.move(key, old, object);
    }
  }

  #index(name: string): IndexMap<T> {
    const index = this.#indexes.get(name);
    if (index === undefined) {
      throw new TypeError(`the store has no index ${name}; name it in the store's options`);
    }
    return index;
  }

  #publish(delta: Delta<T>): void {
    for (const subscriber of this.#subscribers) {
      subscriber(delta);
    }
  }
}

/** The object without `metadata.managedFields`, which hardly anything reads and which is more than half of most objects. */
function dropManagedFields<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) {
    return object;
  }
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
