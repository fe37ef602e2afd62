// Reads `POST /v1/builds` off the wire, within limits, and hands it on.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from './read-body.ts';

/** Judges and stores a build's result: `body` as text, `token` without `Bearer`. Its answer is sent as JSON. */
export type BuildReportHandler = (
  body: string,
  token: string | undefined,
) => Promise<{ readonly status: number; readonly body: unknown }>;

/** Bytes of a report at most: 10,000 machines take 2 MiB. */
const MAX_BYTES = 16 << 20;
/** A report comes from the same cluster. */
const BODY_SECONDS = 60;
/** Reports that are read at once; they are held in memory. */
const AT_ONCE = 4;

/** Open reports; per handler, since a handler belongs to one server. */
const open = new WeakMap<BuildReportHandler, number>();

/** Answers one request; never rejects. */
export async function answerBuildReport(
  request: IncomingMessage,
  response: ServerResponse,
  handler: BuildReportHandler,
): Promise<void> {
  const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
  if (request.method !== 'POST') return answer(405, { error: 'use POST' }, { allow: 'POST' });
  const count = open.get(handler) ?? 0;
  if (count >= AT_ONCE) return answer(503, { error: 'too many reports at once' }, { 'retry-after': '2' });
  open.set(handler, count + 1);
  try {
    const body = await readBody(request, { bytes: MAX_BYTES, seconds: BODY_SECONDS });
    if (body === undefined) {
      return answer(413, { error: `the report is larger than ${MAX_BYTES} bytes` }, { connection: 'close' });
    }
    const { status, body: said } = await handler(body, bearerOf(request));
    answer(status, said);
  } catch (error) {
    answer(503, { error: `the result could not be stored: ${error instanceof Error ? error.message : String(error)}` });
  } finally {
    open.set(handler, (open.get(handler) ?? 1) - 1);
  }
}

function bearerOf(request: IncomingMessage): string | undefined {
  return /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1];
}
