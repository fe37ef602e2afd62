// Sends the one HTTP request of a measurement: no redirects, a bounded answer, guarded addresses, errors in plain words.
import { Agent, request } from 'undici';
import type { Credentials } from './credentials.ts';
import { guardedHost, guardedLookup } from './guarded-addresses.ts';
import { MeasurementError } from './measurement-error.ts';

export type Question = {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly credentials: Credentials;
  readonly insecure: boolean;
};

export type AskOptions = {
  /** Whether addresses of the operator's own host may be asked. */
  readonly allowLocal: boolean;
  readonly signal: AbortSignal;
};

/** Bytes of an answer that are read. */
const LONGEST_ANSWER = 1024 * 1024;
const CONNECT_MS = 10_000;

/** Status and text of the answer. Throws MeasurementError, and what the signal says when it is aborted. */
export async function askServer(
  question: Question,
  { allowLocal, signal }: AskOptions,
): Promise<{ status: number; text: string }> {
  const { url, method, headers, body, credentials, insecure } = question;
  const target = new URL(url);
  const refused = allowLocal ? undefined : guardedHost(target.hostname);
  if (refused !== undefined) throw new MeasurementError(refused);
  const { ca } = credentials;
  const connect = {
    timeout: CONNECT_MS,
    rejectUnauthorized: !insecure,
    ...(ca === undefined ? {} : { ca }),
    ...(allowLocal ? {} : { lookup: guardedLookup }),
  };
  const dispatcher = new Agent({ connections: 1, pipelining: 1, allowH2: false, connect });
  try {
    const answer = await request(target, {
      method,
      headers: { accept: 'application/json', 'user-agent': 'floe', ...headers, ...credentials.headers },
      ...(body === undefined ? {} : { body }),
      dispatcher,
      signal,
    });
    return { status: answer.statusCode, text: await bounded(answer.body) };
  } catch (error) {
    if (signal.aborted || error instanceof MeasurementError) throw error;
    throw new MeasurementError(`${target.host}: ${wordsOf(error)}`);
  } finally {
    await dispatcher.destroy();
  }
}

async function bounded(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > LONGEST_ANSWER) throw new MeasurementError('the answer is longer than 1 MiB; ask for less');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The innermost cause says most. */
function wordsOf(error: unknown): string {
  const seen = new Set<unknown>();
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error && !seen.has(inner)) {
    seen.add(inner);
    inner = inner.cause;
  }
  if (!(inner instanceof Error)) return 'the request failed';
  const [first] = inner instanceof AggregateError ? (inner.errors as unknown[]) : [];
  return first instanceof Error ? first.message : inner.message || inner.name;
}
