// Takes an upload from the network to a file: bounded, hashed on the way, never held in memory.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { toNixBase32 } from '@floe/crds/nix-base32';
import type { TemporaryFile } from './directory.ts';

/** What arrived: all of it with its hash, a body that is not as long as was said, or one for which there is no more room. */
export type Received =
  | { kind: 'whole'; bytes: number; sha256: string }
  | { kind: 'short'; bytes: number }
  | { kind: 'full'; message: string };

/** Less than this in one span, and the upload makes way for others: a slow line has some hundred times as much. */
const LEAST_BYTES = 64 << 10;
const SPAN_MS = 30_000;

/** The client went away in the middle of its upload. */
export class UploadAborted extends Error {
  override readonly name = 'UploadAborted';
}

/** Length of the body in bytes as the client announced it; undefined when it said none. */
export function announcedLength(request: IncomingMessage): number | undefined {
  const text = request.headers['content-length'];
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * Writes the body to the file. `count` sees each piece's bytes.
 * @throws UploadAborted when the client goes away; errors of the file system as they are
 */
export async function receive(
  request: IncomingMessage,
  file: TemporaryFile,
  options: { length: number; count: (bytes: number) => void; grow: (bytes: number) => Promise<string | undefined> },
): Promise<Received> {
  const hash = createHash('sha256');
  let bytes = 0;
  let before = 0;
  const pace = setInterval(() => {
    if (bytes - before < LEAST_BYTES) request.destroy(new Error('it is too slow'));
    before = bytes;
  }, SPAN_MS);
  try {
    return await all();
  } finally {
    clearInterval(pace);
  }

  async function all(): Promise<Received> {
    const pieces = request[Symbol.asyncIterator]();
    for (;;) {
      const next = await nextOf(pieces);
      if (next.done) break;
      bytes += next.value.length;
      const noRoom = await options.grow(bytes);
      if (noRoom !== undefined) return { kind: 'full', message: noRoom };
      options.count(next.value.length);
      hash.update(next.value);
      let rest = next.value;
      while (rest.length > 0) rest = rest.subarray((await file.handle.write(rest)).bytesWritten);
    }
    return bytes === options.length
      ? { kind: 'whole', bytes, sha256: toNixBase32(hash.digest()) }
      : { kind: 'short', bytes };
  }
}

/** @throws UploadAborted when the client goes away, or is too slow */
async function nextOf(pieces: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  try {
    return await pieces.next();
  } catch (cause) {
    throw new UploadAborted('the client went away during its upload', { cause });
  }
}

/** Reads a small body as text; undefined when it is longer than `limit` bytes. */
export async function receiveText(request: IncomingMessage, limit: number): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of request as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > limit) return undefined;
      pieces.push(piece);
    }
  } catch (cause) {
    throw new UploadAborted('the client went away during its upload', { cause });
  }
  return Buffer.concat(pieces).toString('utf8');
}
