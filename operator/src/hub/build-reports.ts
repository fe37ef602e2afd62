// Serves `POST /v1/builds`: looks at the token, then reads the body off the wire within limits, and hands it on.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { JsonRefused, readJsonObject } from './json-object-reader.ts';
import { peerAddress } from './peer-address.ts';

/** What a build is told, as JSON. */
export type ReportAnswer = {
  readonly status: number;
  readonly body: unknown;
  /** Seconds after which to try again. */
  readonly retryAfterSeconds?: number;
};

/** Someone who may report: `namespace` is whose slot it takes; `store` judges the result and stores it. */
export type Reporter = {
  readonly kind: 'admitted';
  readonly namespace: string;
  readonly store: (result: unknown) => Promise<ReportAnswer>;
};

/** Judges who reports: `token` without `Bearer`. */
export type BuildReportHandler = (
  token: string | undefined,
  from: { readonly address: string },
) => Promise<Reporter | (ReportAnswer & { readonly kind: 'refused' })>;

/** Of a report: 10,000 machines take 2 MiB. A lock file of 128 KiB is its largest field. */
const LIMITS = { bytes: 16 << 20, entries: 50_000, entryBytes: 512 * 1024, entryTokens: 32 };
/** A report comes from the same cluster. */
const BODY_SECONDS = 60;
/** Reports that are read at once, in all and of one namespace; what they hold is held in memory. */
const AT_ONCE = 8;
const AT_ONCE_PER_NAMESPACE = 2;
/** What is read and dropped of a body that nobody wants, so that its sender gets to read the answer. */
const LINGER_BYTES = 16 << 20;
const LINGER_SECONDS = 3;

/** Counts who reports at the moment. */
export class ReportSlots {
  readonly #taken = new Map<string, number>();
  #all = 0;

  /** A slot of the namespace, or nothing where it or all others have theirs; call what is returned to give it back. */
  take(namespace: string): (() => void) | undefined {
    const own = this.#taken.get(namespace) ?? 0;
    if (this.#all >= AT_ONCE || own >= AT_ONCE_PER_NAMESPACE) return undefined;
    this.#all += 1;
    this.#taken.set(namespace, own + 1);
    return () => {
      this.#all -= 1;
      const left = (this.#taken.get(namespace) ?? 1) - 1;
      if (left > 0) this.#taken.set(namespace, left);
      else this.#taken.delete(namespace);
    };
  }
}

/** Answers one request; never rejects. The connection ends where the body was not wanted. */
export async function answerBuildReport(
  request: IncomingMessage,
  response: ServerResponse,
  { handler, slots }: { handler: BuildReportHandler; slots: ReportSlots },
): Promise<void> {
  response.on('error', () => undefined);
  const answer = await judge(request, { handler, slots }).catch((error: unknown) => ({
    status: 503,
    body: { error: `the result could not be stored: ${error instanceof Error ? error.message : String(error)}` },
    retryAfterSeconds: 2,
  }));
  reply(request, response, answer);
}

async function judge(
  request: IncomingMessage,
  { handler, slots }: { handler: BuildReportHandler; slots: ReportSlots },
): Promise<ReportAnswer> {
  if (request.method !== 'POST') return { status: 405, body: { error: 'use POST' } };
  if (Number(request.headers['content-length'] ?? 0) > LIMITS.bytes) return tooLarge;
  const reporter = await handler(bearerOf(request), { address: peerAddress(request.socket) });
  if (reporter.kind === 'refused') return reporter;
  const giveBack = slots.take(reporter.namespace);
  if (giveBack === undefined) {
    return { status: 503, body: { error: 'too many reports at once' }, retryAfterSeconds: 2 };
  }
  const timer = setTimeout(() => request.destroy(new Error('the body did not arrive in time')), BODY_SECONDS * 1000);
  try {
    // The connection stays usable for the answer, also when the rest is not read.
    const result = await readJsonObject(request.iterator({ destroyOnReturn: false }), LIMITS);
    return await reporter.store(result);
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    const remedy = error.status === 413 ? 'build fewer machines with one NixConfig' : 'send a BuildResult as JSON';
    return { status: error.status, body: { error: `the report is not taken: ${error.message}`, remedy } };
  } finally {
    clearTimeout(timer);
    giveBack();
  }
}

const tooLarge: ReportAnswer = {
  status: 413,
  body: { error: `the report is larger than ${LIMITS.bytes} bytes`, remedy: 'build fewer machines with one NixConfig' },
};

function reply(request: IncomingMessage, response: ServerResponse, answer: ReportAnswer): void {
  if (response.headersSent || response.destroyed) return;
  const { status, body, retryAfterSeconds } = answer;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...(status === 405 ? { allow: 'POST' } : {}),
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(text);
  if (!request.complete) linger(request);
}

/** A socket that is destroyed while its peer still writes loses the answer with it, so the rest is dropped for a while. */
function linger(request: IncomingMessage): void {
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), LINGER_SECONDS * 1000);
  let left = LINGER_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  request.on('error', () => undefined);
  request.once('end', () => socket.end());
  socket.once('close', () => clearTimeout(timer));
}

function bearerOf(request: IncomingMessage): string | undefined {
  return /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1];
}
