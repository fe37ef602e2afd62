// GET and HEAD: files of the cache with validators, ranges and the right to be kept.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Address } from './address.ts';
import { type Answer, refuse } from './answer.ts';
import type { CacheDirectory } from './directory.ts';
import { wantedBytes } from './range.ts';
import { hasContent } from './whole-record.ts';

/** Served for every namespace, also for one that holds nothing yet: a new tenant's first build asks for it. */
const INFO = 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n';

/** A NAR is named by its content and never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable';
/** A narinfo may gain a signature; what it says else never changes. */
const A_MINUTE = 'public, max-age=60';

const TYPES = { info: 'text/x-nix-cache-info', narinfo: 'text/x-nix-narinfo', nar: 'application/x-nix-nar' } as const;

function sendText(request: IncomingMessage, response: ServerResponse, text: string, type: string): void {
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
  response.setHeader('etag', etag);
  response.setHeader('cache-control', A_MINUTE);
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304).end();
    return;
  }
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(request.method === 'HEAD' ? undefined : text);
}

async function sendNar(
  address: Extract<Address, { kind: 'nar' }>,
  http: { request: IncomingMessage; response: ServerResponse },
  options: { directory: CacheDirectory; countSent: (bytes: number) => void },
): Promise<Answer | undefined> {
  const { request, response } = http;
  const opened = await options.directory.openFile(options.directory.narPath(address.namespace, address.file));
  if (opened === undefined) return refuse(404, 'this NAR is not in the cache');
  try {
    const etag = `"${address.fileHash}"`;
    response.setHeader('etag', etag);
    response.setHeader('cache-control', FOR_EVER);
    response.setHeader('accept-ranges', 'bytes');
    response.setHeader('content-type', TYPES.nar);
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return undefined;
    }
    const ifRange = request.headers['if-range'];
    const header = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
    const wanted = wantedBytes(header, opened.size);
    if (wanted.kind === 'unsatisfiable') {
      response.writeHead(416, { 'content-range': `bytes */${opened.size}`, 'content-length': 0 }).end();
      return undefined;
    }
    const range = wanted.kind === 'part' ? wanted.range : { start: 0, end: opened.size - 1 };
    const length = range.end - range.start + 1;
    response.setHeader('content-length', length);
    if (wanted.kind === 'part') response.setHeader('content-range', `bytes ${range.start}-${range.end}/${opened.size}`);
    response.writeHead(wanted.kind === 'part' ? 206 : 200);
    if (request.method === 'HEAD' || length === 0) {
      response.end();
      return undefined;
    }
    const stream = opened.handle.createReadStream({ ...range, autoClose: false, highWaterMark: 256 << 10 });
    stream.on('data', (piece) => options.countSent(piece.length));
    await pipeline(stream, response);
    return undefined;
  } finally {
    await opened.handle.close();
  }
}

/** Answers a read; returns what to say when there is nothing to send. */
export async function read(
  address: Address,
  http: { request: IncomingMessage; response: ServerResponse },
  options: { directory: CacheDirectory; countSent: (bytes: number) => void },
): Promise<Answer | undefined> {
  if (address.kind === 'nar') return sendNar(address, http, options);
  const text =
    address.kind === 'info'
      ? INFO
      : await options.directory.text(options.directory.narinfoPath(address.namespace, address.hash));
  if (text === undefined) return refuse(404, 'this path is not in the cache');
  if (address.kind === 'narinfo' && !(await hasContent(text, address.namespace, options.directory))) {
    return refuse(404, 'the NAR of this path is gone from the cache, so the path is not in it; upload it again');
  }
  if (http.request.method === 'GET') options.countSent(text.length);
  sendText(http.request, http.response, text, TYPES[address.kind]);
  return undefined;
}
