// Whatever calls itself a hub says to the agent: the connection ends with a reason, nothing is done, memory is bounded, nothing throws.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { gzipSync } from 'node:zlib';
import type { PollAnswer } from '@floe/crds/poll';
import { MAX_MESSAGE_BYTES } from '@floe/crds/protocol-limits';
import fc from 'fast-check';
import { generate } from 'selfsigned';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { HubSocket } from './hub-socket.ts';
import { dialPoll } from './poll-socket.ts';
import { desired } from './scripted-hub.fixture.ts';
import { dial } from './socket.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;
const CHANNEL = 'c'.repeat(43);
const challenge = { type: 'challenge', nonce: 'n'.repeat(44), versions: [1] };
let server: Server;
let tls: SecureContext;
let url: string;
let answer: Answer;
let onSocket: (socket: WebSocket) => void;
let requests: number;

beforeAll(async () => {
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  });
  tls = createSecureContext({ ca: [pem.cert] });
  server = createServer({ key: pem.private, cert: pem.cert }, (request, response) => {
    response.on('error', () => undefined);
    request.resume();
    request.on('end', () => answer(request, response, requests++));
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: true });
  sockets.on('connection', (socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://localhost:${(server.address() as AddressInfo).port}`;
});
afterEach(() => server.closeAllConnections());
afterAll(() => {
  server.close();
});

/** Reads until the end; what came in, and why it ended. Fails when it does not end. */
async function readAll(socket: HubSocket): Promise<{ types: string[]; reason: string }> {
  const limit = AbortSignal.timeout(20_000);
  const types: string[] = [];
  for (let message = await socket.receive(limit); message !== undefined; message = await socket.receive(limit)) {
    types.push(message.type);
  }
  return { types, reason: (await socket.ended).reason };
}

const json =
  (body: unknown): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
  };
const opening = (over: object = {}) => ({ channel: CHANNEL, ack: 0, first: 1, messages: [challenge], ...over });
async function poll(with_: Answer): Promise<{ types: string[]; reason: string }> {
  requests = 0;
  answer = with_;
  return await readAll(dialPoll({ url, tls }));
}

describe('long poll', () => {
  test.each<[string, Answer, RegExp]>([
    ['no JSON', json('<html>sign in</html>'), /no hub/],
    ['nothing', json(''), /no hub/],
    ['another shape', json({ hello: 1 }), /malformed/],
    ['no channel', json({ ack: 0, first: 1, messages: [] }), /opened no channel/],
    ['a channel that no header can hold', json(opening({ channel: 'x\r\ny'.repeat(20) })), /malformed/],
    ['a message that is none', json(opening({ messages: [{ type: 'run', command: 'rm' }] })), /malformed: type/],
    ['an order that is none', json(opening({ messages: [{ ...desired(), closure: '/etc' }] })), /malformed: closure/],
    ['a message that is missing', json(opening({ first: 3 })), /missing/],
    ['an acknowledgement of what was never sent', json(opening({ ack: 5 })), /never sent/],
    ['more messages than an answer holds', json(opening({ messages: Array(17).fill(challenge) })), /malformed/],
    [
      'compressed',
      (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(32 << 20))),
      /no hub/,
    ],
    ['a redirect', (_, response) => response.writeHead(302, { location: 'https://example.org/' }).end(), /302/],
    ['a refusal', (_, response) => response.writeHead(404).end('{"error":"no such page"}'), /404: no such page/],
    ['a cut', (request) => request.socket.destroy(), /hang up|ECONNRESET/],
    ['an answer without end', endless, /larger than/],
  ])('%s', async (_name, with_, reason) => {
    expect((await poll(with_)).reason).toMatch(reason);
  });

  test('the same messages again and again are read once', async () => {
    const { types, reason } = await poll((request, response, count) => {
      const closed = count > 3 ? { closed: { code: 1012, reason: 'enough' } } : {};
      json({ ...opening(), ...closed })(request, response, count);
    });
    expect([types, reason]).toEqual([['challenge'], 'closed with code 1012: enough']);
  });

  test('messages without end are not kept', async () => {
    let answers = 0;
    answer = (request, response, count) =>
      json({ channel: CHANNEL, ack: 0, first: answers++ * 16 + 1, messages: Array(16).fill(challenge) })(
        request,
        response,
        count,
      );
    const socket = dialPoll({ url, tls });
    // Nobody reads.
    expect((await socket.ended).reason).toBe('the hub sends faster than it is read');
  });

  test('whatever comes, it ends and nothing is thrown', async () => {
    const messages = fc.array(fc.oneof(fc.constant(challenge), fc.record({ type: fc.string() }), fc.anything()), {
      maxLength: 4,
    });
    const number = fc.oneof(fc.constantFrom(0, 1, 2, 16), fc.integer(), fc.double());
    const shaped = fc
      .record(
        {
          channel: fc.oneof(fc.constant(CHANNEL), fc.string()),
          ack: number,
          first: number,
          messages,
          closed: fc.anything(),
        },
        { requiredKeys: [] },
      )
      .map((value) => text(value));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(shaped, fc.json(), fc.string()), { maxLength: 3 }), async (answers) => {
        const { types } = await poll((request, response, count) => {
          const last: PollAnswer = {
            channel: CHANNEL,
            ack: 0,
            first: 1,
            messages: [],
            closed: { code: 1000, reason: 'end' },
          };
          json(answers[count] ?? last)(request, response, count);
        });
        expect(types.every((type) => type === 'challenge')).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('answers at once, with nothing new, are not asked for in a circle', async () => {
    requests = 0;
    answer = json(opening());
    const socket = dialPoll({ url, tls });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    socket.close(1000, 'seen enough');
    expect(requests).toBeLessThan(6);
  });
});

describe('WebSocket', () => {
  const ws = async (say: (socket: WebSocket) => void) => {
    onSocket = say;
    return await readAll(dial({ url, tls }));
  };
  test.each<[string, (socket: WebSocket) => void, RegExp]>([
    ['binary', (socket) => socket.send(Buffer.from([1])), /not JSON/],
    ['no JSON', (socket) => socket.send('{'), /not JSON/],
    ['a list', (socket) => socket.send('[]'), /malformed/],
    ['too large', (socket) => socket.send('x'.repeat(MAX_MESSAGE_BYTES + 1)), /size|1009/i],
    ['a cut', (socket) => socket.terminate(), /1006/],
  ])('%s', async (_name, say, reason) => {
    expect((await ws(say)).reason).toMatch(reason);
  });

  test('messages without end are not kept', async () => {
    onSocket = (socket) => {
      for (let n = 0; n < 400; n++) socket.send(JSON.stringify(challenge));
    };
    expect((await dial({ url, tls }).ended).reason).toBe('the hub sends faster than it is read');
  });

  test('whatever comes, it ends and nothing is thrown', async () => {
    const anything = fc.oneof(
      fc.string(),
      fc.json(),
      fc.anything().map((value) => text({ ...desired(), ...Object(value) })),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (sent) => {
        const { types } = await ws((socket) => {
          socket.send(sent);
          socket.close(1000);
        });
        expect(types.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
  });
});

function endless(_: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200);
  const more = () => {
    while (!response.destroyed && response.write('x'.repeat(65_536)));
  };
  response.on('drain', more);
  more();
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? 'undefined';
}
