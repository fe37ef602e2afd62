// What the hub knows of the Secrets that machines name: digests of their contents, never the contents.
import { createHmac, randomBytes } from 'node:crypto';
import { CACHE_SECRET, SIGNING_KEY_SECRET } from '@floe/crds/constants';
import { MAX_SECRET_BYTES } from '@floe/crds/secret-limits';

/** Values of a Secret by key; undefined where there is no such Secret, `forbidden` where RBAC says no. Throws for the rest. */
export type ReadSecretData = (
  namespace: string,
  name: string,
  signal: AbortSignal,
) => Promise<Readonly<Record<string, Buffer>> | 'forbidden' | undefined>;

/** One key of a Secret: a digest, or why there is none. */
export type Known = { readonly digest: string } | { readonly fault: string };

type Entry = {
  /** By key of the Secret; a fault alone is that of the whole Secret. */
  readonly content: ReadonlyMap<string, string> | { readonly fault: string };
  readonly sizes: ReadonlyMap<string, number>;
};

/** Reads in flight at once. */
const CONCURRENCY = 4;
const READ_SECONDS = 10;
/** A whole fleet that asks for one content is one read: so long an answer is held, and no longer. */
const HELD_MS = 1000;
const OWN: readonly string[] = [SIGNING_KEY_SECRET, CACHE_SECRET];

export class SecretStore {
  /** Key of the digests. Each replica has its own: a digest says nothing to who does not have the content. */
  readonly salt: string = randomBytes(32).toString('base64');
  readonly #read: ReadSecretData;
  readonly #signal: AbortSignal;
  readonly #entries = new Map<string, Entry>();
  readonly #reading = new Map<string, Promise<Readonly<Record<string, Buffer>> | undefined>>();
  /** Answers of the last second. */
  readonly #held = new Map<string, Promise<Readonly<Record<string, Buffer>> | undefined>>();
  /** When each was read last, monotonic, in ms. */
  readonly #readAt = new Map<string, number>();
  #slots = CONCURRENCY;
  readonly #waiting: (() => void)[] = [];
  readonly #changed: (secret: string) => void;

  /** `changed` is called with `namespace/name` of a Secret of which something else is known than before. */
  constructor(options: { read: ReadSecretData; signal: AbortSignal; changed: (secret: string) => void }) {
    this.#read = options.read;
    this.#signal = options.signal;
    this.#changed = options.changed;
  }

  /** What is known of a key of a Secret (`namespace/name`); undefined while it was not read. */
  get(secret: string, key: string): Known | undefined {
    const entry = this.#entries.get(secret);
    const name = secret.split('/')[1] ?? '';
    if (OWN.includes(name)) return { fault: `Secret ${name} is Floe's own and goes to no machine` };
    if (entry === undefined) return undefined;
    if (!(entry.content instanceof Map)) return entry.content as { fault: string };
    const size = entry.sizes.get(key) ?? 0;
    if (size > MAX_SECRET_BYTES) {
      return { fault: `key ${key} of Secret ${name} has ${size} bytes; at most ${MAX_SECRET_BYTES} can be sent` };
    }
    const digest = entry.content.get(key);
    return digest === undefined ? { fault: `Secret ${name} has no key ${key}; add it` } : { digest };
  }

  /** Nobody names it any more. */
  forget(secret: string): void {
    this.#entries.delete(secret);
    this.#readAt.delete(secret);
    this.#held.delete(secret);
  }

  /** Whether it was read within so many seconds. */
  isFresh(secret: string, seconds: number): boolean {
    const at = this.#readAt.get(secret);
    return at !== undefined && performance.now() - at < seconds * 1000;
  }

  /** Reads a Secret, or takes what was read within the last second. Rejects as `read` does. */
  recent(secret: string): Promise<Readonly<Record<string, Buffer>> | undefined> {
    return this.#held.get(secret) ?? this.read(secret);
  }

  /** Reads a Secret anew and takes note of it; one read at a time for each. Rejects when the API server can't be asked. */
  read(secret: string): Promise<Readonly<Record<string, Buffer>> | undefined> {
    const under = this.#reading.get(secret);
    if (under !== undefined) return under;
    const reading = this.#fetch(secret).finally(() => this.#reading.delete(secret));
    this.#reading.set(secret, reading);
    reading.then(
      () => this.#hold(secret, reading),
      () => undefined,
    );
    return reading;
  }

  #hold(secret: string, reading: Promise<Readonly<Record<string, Buffer>> | undefined>): void {
    this.#held.set(secret, reading);
    setTimeout(() => {
      if (this.#held.get(secret) === reading) this.#held.delete(secret);
    }, HELD_MS).unref();
  }

  async #fetch(secret: string): Promise<Readonly<Record<string, Buffer>> | undefined> {
    const [namespace = '', name = ''] = secret.split('/');
    if (OWN.includes(name)) return undefined;
    await this.#slot();
    try {
      const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(READ_SECONDS * 1000)]);
      const data = await this.#read(namespace, name, signal);
      this.#note(secret, data);
      return data === 'forbidden' ? undefined : data;
    } finally {
      this.#slots += 1;
      this.#waiting.shift()?.();
    }
  }

  async #slot(): Promise<void> {
    while (this.#slots <= 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#slots -= 1;
  }

  #note(secret: string, data: Readonly<Record<string, Buffer>> | 'forbidden' | undefined): void {
    const name = secret.split('/')[1] ?? '';
    const entry: Entry =
      data === undefined
        ? { content: { fault: `there is no Secret ${name} in this namespace; create it` }, sizes: new Map() }
        : data === 'forbidden'
          ? { content: { fault: `Floe may not read Secret ${name}; allow it (RBAC: get secrets)` }, sizes: new Map() }
          : this.#digests(data);
    const before = this.#entries.get(secret);
    this.#entries.set(secret, entry);
    this.#readAt.set(secret, performance.now());
    if (before === undefined || !same(before, entry)) this.#changed(secret);
  }

  #digests(data: Readonly<Record<string, Buffer>>): Entry {
    const all = Object.entries(data);
    return {
      content: new Map(all.map(([key, value]) => [key, this.digest(value)])),
      sizes: new Map(all.map(([key, value]) => [key, value.length])),
    };
  }

  /** The digest of a content under the salt of this replica. */
  digest(content: Buffer): string {
    return createHmac('sha256', Buffer.from(this.salt, 'base64')).update(content).digest('hex');
  }
}

function same(one: Entry, other: Entry): boolean {
  const plain = ({ content, sizes }: Entry) =>
    JSON.stringify([content instanceof Map ? [...content] : content, [...sizes]]);
  return plain(one) === plain(other);
}
