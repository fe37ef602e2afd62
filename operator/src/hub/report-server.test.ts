// What holders of a token, and strangers without one, can do to the port of build reports.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { connect as dialTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { BuildReportHandler } from './build-reports.ts';
import { type Certificate, echoReports, makeCertificate, quietLog } from './replica.fixture.ts';
import { type ReportServer, startReportServer } from './report-server.ts';

let certificate: Certificate;
let server: ReportServer;
let handler: ReturnType<typeof vi.fn<BuildReportHandler>>;
const sockets: { destroy(): void }[] = [];

beforeAll(async () => {
  certificate = await makeCertificate();
});
afterAll(() => certificate.remove());
beforeEach(async () => {
  handler = vi.fn(echoReports);
  const [cert, key] = await Promise.all(
    ['tls.crt', 'tls.key'].map((name) => readFile(join(certificate.folder, name), 'utf8')),
  );
  server = await startReportServer({ tls: { cert: cert ?? '', key: key ?? '' }, port: 0, handler, log: quietLog });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** Begins a report; `token` undefined: without one. */
function begin(token: string | undefined, headers: Record<string, string | number> = {}): ClientRequest {
  const { port } = server;
  const auth = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const options = { port, path: '/v1/builds', method: 'POST', rejectUnauthorized: false, agent: false };
  const sent = httpsRequest({ ...options, headers: { ...auth, ...headers } });
  sent.on('error', () => undefined);
  sockets.push(sent);
  return sent;
}

async function answerTo(sent: ClientRequest): Promise<{ status: number | undefined; body: unknown }> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, body: JSON.parse(text) };
}

test('a report goes to its handler, and its answer back', async () => {
  const sent = begin('shop');
  sent.end('{"a":1}');
  expect(await answerTo(sent)).toEqual({ status: 200, body: { result: { a: 1 }, token: 'shop' } });
});

test('the token is looked at before the body, which need not even come', async () => {
  const sent = begin(undefined, { 'content-length': 16 << 20 });
  sent.flushHeaders();
  expect((await answerTo(sent)).status).toBe(401);
});

test('silent senders without a good token take nobody the place', async () => {
  for (let i = 0; i < 20; i++) {
    const silent = begin(undefined, { 'content-length': 1000 });
    silent.flushHeaders();
    await answerTo(silent);
  }
  const sent = begin('shop');
  sent.end('{}');
  expect((await answerTo(sent)).status).toBe(200);
});

test('a namespace that never ends its reports takes no other namespace the place', async () => {
  for (let i = 0; i < 6; i++) begin('hostile', { 'content-length': 1000 }).flushHeaders();
  await vi.waitFor(() => expect(handler).toHaveBeenCalledTimes(6));
  const own = begin('hostile');
  own.end('{}');
  expect((await answerTo(own)).status).toBe(503);
  const other = begin('shop');
  other.end('{}');
  expect((await answerTo(other)).status).toBe(200);
});

test.each<[string, string, number]>([
  ['a list of five million objects', `[${'{},'.repeat((15 << 20) / 3)}{}]`, 400],
  ['a field with a million objects', `{"a":[${'{},'.repeat(1_000_000)}{}]}`, 413],
  ['half a report', '{"closures":{"m1":', 400],
  ['more than a report may hold', `{"a":"${'x'.repeat(17 << 20)}"}`, 413],
])('%s is refused, in words', async (_, body, status) => {
  const sent = begin('shop');
  sent.end(body);
  expect(await answerTo(sent)).toMatchObject({ status, body: { error: expect.stringContaining('report') } });
});

test('one address holds a share of the connections', async () => {
  const ended: boolean[] = [];
  for (let i = 0; i < 80; i++) {
    const socket = dialTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => ended.push(true));
  }
  await vi.waitFor(() => expect(ended.length).toBeGreaterThanOrEqual(30));
  expect(ended.length).toBeLessThan(80);
});
