// Parses a JSON object entry by entry while its bytes arrive, so that neither its size nor its shape blocks the event loop.
import { setImmediate as nextTurn } from 'node:timers/promises';

/** What a body may hold; what is beyond is refused as soon as it is seen. */
export type JsonLimits = {
  /** Bytes in all. */
  readonly bytes: number;
  /** Fields of the object, and of the objects in these, all together. */
  readonly entries: number;
  /** Bytes of one such entry. */
  readonly entryBytes: number;
  /** Commas and brackets within one entry: bounds how long a single one takes to parse. */
  readonly entryTokens: number;
};

/** A body that is not taken: `status` 400 where it is no such JSON, 413 where it is larger than a limit. */
export class JsonRefused extends Error {
  readonly status: 400 | 413;
  constructor(status: 400 | 413, message: string) {
    super(message);
    this.status = status;
  }
}

/** Bytes that are parsed before others get their turn. */
const SLICE_BYTES = 64 * 1024;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;

type Entries = Map<string, unknown>;

/**
 * Takes bytes with `push` and gives the object with `end`; equal to what `JSON.parse` makes of an object within the
 * limits. The object and the objects that are its direct fields are cut into entries, each parsed when it is complete.
 */
export class JsonObjectReader {
  readonly #limits: JsonLimits;
  readonly #root: Entries = new Map();
  /** The direct field that is open. */
  #member: { readonly name: string; readonly entries: Entries } | undefined;
  /** Before the object, in it, behind it. */
  #state: 'before' | 'within' | 'behind' = 'before';
  /** What must or may come next where the text of the entry is empty: `entry` after a comma, `end` after an inner object. */
  #next: 'any' | 'entry' | 'end' = 'any';
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #bytes = 0;
  #count = 0;
  #tokens = 0;
  #nested = 0;
  #inString = false;
  #escaped = false;

  constructor(limits: JsonLimits) {
    this.#limits = limits;
  }

  /** Takes the next bytes. @throws JsonRefused */
  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limits.bytes) throw new JsonRefused(413, `larger than ${this.#limits.bytes} bytes`);
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (this.#inString) {
        at = this.#endOfString(chunk, at);
        continue;
      }
      const byte = chunk[at] ?? 0;
      if (!this.#isCut(byte)) continue;
      this.#keep(chunk.subarray(start, at));
      this.#cut(byte);
      start = at + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** The whole object. @throws JsonRefused where it is not complete */
  end(): unknown {
    if (this.#state !== 'behind' || this.#takeText().trim() !== '') throw notJson();
    return Object.fromEntries(this.#root);
  }

  /** Where the string that is open ends; the length of `chunk` where it does not. */
  #endOfString(chunk: Buffer, from: number): number {
    // Most of a body lies in strings, so that this loop touches local variables alone.
    let escaped = this.#escaped;
    let at = from;
    for (; at < chunk.length; at++) {
      const byte = chunk[at];
      if (escaped) escaped = false;
      else if (byte === BACKSLASH) escaped = true;
      else if (byte === QUOTE) break;
    }
    this.#escaped = escaped;
    this.#inString = at === chunk.length;
    return at;
  }

  /** Whether an entry begins or ends here; keeps count of what lies within one. */
  #isCut(byte: number): boolean {
    switch (byte) {
      case QUOTE:
        this.#inString = true;
        return false;
      case OPEN:
      case OPEN_LIST: {
        const isSplit = byte === OPEN && this.#nested === 0 && this.#member === undefined;
        if (isSplit || this.#state !== 'within') return true;
        this.#nested += 1;
        return this.#token();
      }
      case CLOSE:
      case CLOSE_LIST:
        if (this.#nested === 0) return true;
        this.#nested -= 1;
        return false;
      case COMMA:
        return this.#nested === 0 ? true : this.#token();
      default:
        return false;
    }
  }

  #token(): false {
    this.#tokens += 1;
    if (this.#tokens > this.#limits.entryTokens) throw new JsonRefused(413, 'a field holds more than it may');
    return false;
  }

  #cut(byte: number): void {
    const text = this.#takeText();
    if (byte === OPEN) this.#open(text);
    else if (byte === CLOSE_LIST || this.#state !== 'within') throw notJson();
    else if (byte === COMMA) {
      this.#entry(text, 'entry');
    } else this.#close(text);
  }

  #open(text: string): void {
    if (this.#state === 'before' && text.trim() === '') {
      this.#state = 'within';
      return;
    }
    if (this.#state !== 'within' || this.#next === 'end') throw notJson();
    const [name] = pairOf(`${text}0`);
    this.#member = { name, entries: new Map() };
    this.#next = 'any';
  }

  #close(text: string): void {
    if (text.trim() !== '' || this.#next === 'entry') this.#entry(text, 'any');
    if (this.#member === undefined) {
      this.#state = 'behind';
      return;
    }
    this.#add(this.#root, this.#member.name, Object.fromEntries(this.#member.entries));
    this.#member = undefined;
    this.#next = 'end';
  }

  #entry(text: string, next: 'any' | 'entry'): void {
    if (this.#next === 'end' && text.trim() === '') {
      this.#next = next;
      return;
    }
    if (this.#next === 'end') throw notJson();
    const [name, value] = pairOf(text);
    this.#add(this.#member?.entries ?? this.#root, name, value);
    this.#next = next;
  }

  #add(to: Entries, name: string, value: unknown): void {
    this.#count += 1;
    if (this.#count > this.#limits.entries) throw new JsonRefused(413, `more than ${this.#limits.entries} fields`);
    to.set(name, value);
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#partsBytes += part.length;
    if (this.#partsBytes > this.#limits.entryBytes) throw new JsonRefused(413, 'a field is larger than it may be');
    this.#parts.push(part);
  }

  #takeText(): string {
    const text = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#partsBytes = 0;
    this.#tokens = 0;
    return text;
  }
}

/** Reads an object out of a stream of bytes, in slices between which others get their turn. @throws JsonRefused */
export async function readJsonObject(chunks: AsyncIterable<Buffer>, limits: JsonLimits): Promise<unknown> {
  const reader = new JsonObjectReader(limits);
  let since = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      const slice = chunk.subarray(at, at + SLICE_BYTES);
      reader.push(slice);
      since += slice.length;
      if (since < SLICE_BYTES) continue;
      since = 0;
      await nextTurn();
    }
  }
  return reader.end();
}

/** Name and value of the text of one entry. */
function pairOf(text: string): [string, unknown] {
  let object: object;
  try {
    object = JSON.parse(`{${text}}`) as object;
  } catch {
    throw notJson();
  }
  const [pair] = Object.entries(object);
  if (pair === undefined) throw notJson();
  return pair;
}

const notJson = () => new JsonRefused(400, 'the body is not a JSON object');
