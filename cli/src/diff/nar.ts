// Reads a NAR, the archive of one store path, into a tree.
import { Buffer } from 'node:buffer';

/** A file, folder or link of a store path. */
export type Node =
  | { readonly type: 'directory'; readonly entries: ReadonlyMap<string, Node> }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'regular'; readonly contents: Buffer };

/** The bytes are no NAR. */
export class NarError extends Error {
  override readonly name = 'NarError';
}

const DEPTH = 64;

/** Parses a whole, uncompressed NAR. Throws NarError where it is none. */
export function parseNar(bytes: Buffer): Node {
  const cursor = new Cursor(bytes);
  cursor.expect('nix-archive-1');
  return node(cursor, 0);
}

function node(cursor: Cursor, depth: number): Node {
  if (depth > DEPTH) throw new NarError('folders lie too deep');
  cursor.expect('(');
  cursor.expect('type');
  const type = cursor.text();
  switch (type) {
    case 'symlink': {
      cursor.expect('target');
      const target = cursor.text();
      cursor.expect(')');
      return { type, target };
    }
    case 'regular':
      return { type, contents: contents(cursor) };
    case 'directory':
      return { type, entries: entries(cursor, depth) };
    default:
      throw new NarError(`type ${JSON.stringify(type.slice(0, 20))} is not known`);
  }
}

function contents(cursor: Cursor): Buffer {
  let found: Buffer = Buffer.alloc(0);
  for (;;) {
    const word = cursor.text();
    if (word === ')') return found;
    if (word === 'executable') cursor.expect('');
    else if (word === 'contents') found = cursor.bytes();
    else throw new NarError(`a file with ${JSON.stringify(word.slice(0, 20))}`);
  }
}

function entries(cursor: Cursor, depth: number): Map<string, Node> {
  const found = new Map<string, Node>();
  for (;;) {
    const word = cursor.text();
    if (word === ')') return found;
    if (word !== 'entry') throw new NarError(`a folder with ${JSON.stringify(word.slice(0, 20))}`);
    cursor.expect('(');
    cursor.expect('name');
    const name = cursor.text();
    cursor.expect('node');
    found.set(name, node(cursor, depth + 1));
    cursor.expect(')');
  }
}

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** A length in 8 bytes, little-endian, so many bytes, and zeros up to the next multiple of 8. */
  bytes(): Buffer {
    if (this.#at + 8 > this.#bytes.length) throw new NarError('it ends too early');
    const length = Number(this.#bytes.readBigUInt64LE(this.#at));
    const start = this.#at + 8;
    if (start + length > this.#bytes.length) throw new NarError('it ends too early');
    this.#at = start + Math.ceil(length / 8) * 8;
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  expect(word: string): void {
    const found = this.text();
    if (found !== word)
      throw new NarError(`${JSON.stringify(word)} was expected, not ${JSON.stringify(found.slice(0, 20))}`);
  }
}
