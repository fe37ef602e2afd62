// One request of a long poll: sends a batch, and says what became of it.
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { parsePollAnswer } from '@floe/crds/parse-hub';
import type { PollAnswer } from '@floe/crds/poll';
import type { Route } from './route.ts';

export type PollOutcome =
  | { readonly kind: 'answer'; readonly answer: PollAnswer; readonly cookies: readonly string[] }
  /** Nobody knows whether it arrived: send it again. */
  | { readonly kind: 'lost'; readonly message: string }
  /** Sending it again would be no use. */
  | { readonly kind: 'refused'; readonly message: string };

export type PollCall = {
  readonly target: URL;
  readonly route: Route;
  /** Absent: opens one. */
  readonly channel: string | undefined;
  readonly body: string;
  /** What a load balancer wants to see again. */
  readonly cookies?: readonly string[];
  readonly signal: AbortSignal;
};

/** Bytes of an answer at most. */
const ANSWER_BYTES = 1024 * 1024;
const COOKIES = 8;

/** Sends one request. Never rejects; an aborted signal is `lost`. */
export async function postPoll(call: PollCall): Promise<PollOutcome> {
  try {
    const response = await send(call);
    const { statusCode = 0 } = response;
    const text = await read(response);
    if (statusCode === 200) return judge(text, response);
    const message = `${call.route.explain(`the hub answered with ${statusCode}`)}${errorIn(text)}`;
    return statusCode >= 500 && !call.route.refusedByProxy ? { kind: 'lost', message } : { kind: 'refused', message };
  } catch (error: unknown) {
    const message = call.route.words(error);
    if (error instanceof TooLargeError) return { kind: 'refused', message };
    return { kind: 'lost', message: call.route.explain(call.signal.aborted ? 'no answer in time' : message) };
  }
}

function send({ target, route, channel, body, cookies = [], signal }: PollCall): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      target,
      {
        method: 'POST',
        agent: route.agent,
        ...route.options,
        signal,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...(channel === undefined ? {} : { authorization: `Bearer ${channel}` }),
          ...(cookies.length === 0 ? {} : { cookie: cookies.join('; ') }),
        },
      },
      resolve,
    );
    route.watch(request);
    request.on('error', reject);
    request.end(body);
  });
}

class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > ANSWER_BYTES) throw new TooLargeError(`an answer of the hub is larger than ${ANSWER_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function judge(text: string, response: IncomingMessage): PollOutcome {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return {
      kind: 'refused',
      message: 'what answers is no hub: it does not send JSON; something else took the request',
    };
  }
  const parsed = parsePollAnswer(json);
  if (!parsed.ok)
    return { kind: 'refused', message: `an answer of the hub is malformed: ${parsed.field}: ${parsed.message}` };
  const cookies = (response.headers['set-cookie'] ?? [])
    .map((line) => line.split(';')[0]?.trim() ?? '')
    .filter((pair) => /^[^=\s]+=[\x21-\x7e]{0,1024}$/.test(pair))
    .slice(0, COOKIES);
  return { kind: 'answer', answer: parsed.value, cookies };
}

/** What the hub says beside the status. */
function errorIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? `: ${error.slice(0, 200)}` : '';
  } catch {
    return '';
  }
}
