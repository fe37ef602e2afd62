// The state of the fake API server: objects of any kind, their versions and generations, and the history for watches.
import { randomUUID } from 'node:crypto';
import { type KubeObject, keyOf } from '@floe/operator/kube/object';
import { alreadyExists, badRequest, conflict, expired, notFound } from './api-status.ts';
import { mergePatch, sameJson } from './merge.ts';

/** An object with whatever it holds. */
export interface StoredObject extends KubeObject {
  readonly [field: string]: unknown;
  metadata: KubeObject['metadata'] & { managedFields?: unknown };
}

export interface Change {
  readonly version: number;
  readonly collection: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
  /** The object before the change: a watch with a selector needs to know whether it had matched. */
  readonly old: StoredObject | undefined;
}

export type Write = 'spec' | 'status' | 'seed';

/** Changes that are kept for watches. */
const HISTORY = 100_000;

export class ObjectBase {
  readonly #collections = new Map<string, Map<string, StoredObject>>();
  readonly #subscribers = new Set<(change: Change) => void>();
  #history: Change[] = [];
  #version = 1000;
  #compacted = 0;

  /** Version of the last write. */
  get version(): number {
    return this.#version;
  }

  get(collection: string, key: string): StoredObject | undefined {
    return this.#collections.get(collection)?.get(key);
  }

  /** All objects of a collection, by key. */
  list(collection: string): StoredObject[] {
    const objects = [...(this.#collections.get(collection)?.entries() ?? [])];
    return objects.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Calls `subscriber` at each change until the returned function is called. */
  subscribe(subscriber: (change: Change) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** The changes after `version`; throws 410 when they are forgotten. */
  since(collection: string, version: number): Change[] {
    if (version < this.#compacted) {
      throw expired();
    }
    return this.#history.filter((change) => change.collection === collection && change.version > version);
  }

  /** Forgets all history: a watch from before ends with 410. */
  compact(): void {
    this.#history = [];
    this.#version += 1;
    this.#compacted = this.#version;
  }

  /** Goes back to an older state of all collections, as if etcd had been restored from a copy. */
  restore(copy: ObjectBaseCopy): void {
    this.#version = copy.version;
    this.#history = this.#history.filter((change) => change.version <= copy.version);
    this.#collections.clear();
    for (const [name, objects] of copy.collections) {
      this.#collections.set(name, new Map(objects));
    }
  }

  /** A copy for `restore`. */
  copy(): ObjectBaseCopy {
    const collections = new Map([...this.#collections].map(([name, objects]) => [name, new Map(objects)]));
    return { version: this.#version, collections };
  }

  create(collection: string, given: StoredObject, write: Write): StoredObject {
    const { status, ...withoutStatus } = given;
    const generateName = (given.metadata as { generateName?: string }).generateName;
    const metadata = {
      ...given.metadata,
      name: given.metadata.name ?? `${generateName}${randomUUID().slice(0, 5)}`,
      uid: randomUUID(),
      creationTimestamp: new Date(Math.floor(Date.now() / 1000) * 1000).toISOString().replace('.000Z', 'Z'),
      generation: 1,
      managedFields: [{ manager: 'fake', operation: 'Update' }],
    };
    const object = { ...(write === 'seed' ? given : withoutStatus), metadata } as StoredObject;
    if (this.get(collection, keyOf(object)) !== undefined) {
      throw alreadyExists(`${collection} "${object.metadata.name}"`);
    }
    return this.#commit('ADDED', collection, object, undefined);
  }

  /** Changes an object; a change that changes nothing is none. */
  patch(collection: string, key: string, patch: StoredObject | Record<string, unknown>, write: Write): StoredObject {
    const old = this.#existing(collection, key);
    const asked = (patch['metadata'] as { resourceVersion?: string } | undefined)?.resourceVersion;
    if (asked !== undefined && asked !== old.metadata.resourceVersion) {
      throw conflict(`${collection} "${key}"`);
    }
    const merged = mergePatch(old, patch) as StoredObject;
    const { status: oldStatus, ...oldRest } = old;
    const { status: newStatus, ...newRest } = merged;
    const next: StoredObject =
      write === 'seed'
        ? merged
        : write === 'status'
          ? { ...oldRest, ...(newStatus === undefined ? {} : { status: newStatus }) }
          : { ...newRest, ...(oldStatus === undefined ? {} : { status: oldStatus }) };
    return this.#replace(collection, old, next);
  }

  /** Deletes an object, or marks it deleted while it has finalizers; its dependents go with it. */
  delete(
    collection: string,
    key: string,
    preconditions: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined } = {},
  ): StoredObject {
    const old = this.#existing(collection, key);
    const { uid, resourceVersion } = preconditions;
    if ((uid ?? old.metadata.uid) !== old.metadata.uid) {
      throw conflict(`${collection} "${key}": uid in precondition`);
    }
    if ((resourceVersion ?? old.metadata.resourceVersion) !== old.metadata.resourceVersion) {
      throw conflict(`${collection} "${key}": resourceVersion in precondition`);
    }
    if ((old.metadata.finalizers ?? []).length > 0) {
      const deletionTimestamp = old.metadata.deletionTimestamp ?? new Date().toISOString();
      return this.#replace(collection, old, { ...old, metadata: { ...old.metadata, deletionTimestamp } });
    }
    return this.#remove(collection, old);
  }

  #replace(collection: string, old: StoredObject, given: StoredObject): StoredObject {
    const { uid, resourceVersion, creationTimestamp, generation, namespace, name } = old.metadata;
    const fixed = { uid, resourceVersion, creationTimestamp, generation, namespace, name };
    const metadata = JSON.parse(JSON.stringify({ ...given.metadata, ...fixed })) as StoredObject['metadata'];
    const next: StoredObject = { ...given, apiVersion: old.apiVersion, kind: old.kind, metadata };
    if (sameJson(old, next)) {
      return old;
    }
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
      return this.#remove(collection, old);
    }
    if (!sameJson(content(old), content(next))) {
      metadata.generation = (generation ?? 1) + 1;
    }
    return this.#commit('MODIFIED', collection, next, old);
  }

  #remove(collection: string, old: StoredObject): StoredObject {
    const last = this.#commit('DELETED', collection, old, old);
    for (const [name, objects] of this.#collections) {
      for (const object of [...objects.values()]) {
        if (object.metadata.ownerReferences?.some((owner) => owner.uid === old.metadata.uid)) {
          this.delete(name, keyOf(object));
        }
      }
    }
    return last;
  }

  #commit(type: Change['type'], collection: string, given: StoredObject, old: StoredObject | undefined): StoredObject {
    this.#version += 1;
    const object: StoredObject = { ...given, metadata: { ...given.metadata, resourceVersion: String(this.#version) } };
    const objects = this.#collections.get(collection) ?? new Map<string, StoredObject>();
    this.#collections.set(collection, objects);
    if (type === 'DELETED') {
      objects.delete(keyOf(object));
    } else {
      objects.set(keyOf(object), object);
    }
    const change: Change = { version: this.#version, collection, type, object, old };
    this.#history.push(change);
    if (this.#history.length > HISTORY) {
      this.#compacted = this.#history.shift()?.version ?? 0;
    }
    for (const subscriber of [...this.#subscribers]) {
      subscriber(change);
    }
    return object;
  }

  #existing(collection: string, key: string): StoredObject {
    const object = this.get(collection, key);
    if (object === undefined) {
      throw notFound(`${collection} "${key}"`);
    }
    return object;
  }
}

export interface ObjectBaseCopy {
  readonly version: number;
  readonly collections: ReadonlyMap<string, ReadonlyMap<string, StoredObject>>;
}

/** What counts for the generation. */
function content({ metadata: _, status: __, ...rest }: StoredObject): unknown {
  return rest;
}

/** Reads a JSON body that must be an object. */
export function parseObject(text: string): StoredObject {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
      return body as StoredObject;
    }
  } catch {
    // Falls through.
  }
  throw badRequest('the body is not a JSON object');
}
