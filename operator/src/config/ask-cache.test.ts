import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cacheAsker } from './ask-cache.ts';
import { CLOSURE } from './config.fixture.ts';

let server: Server;
let url: string;
const codes = new Map<string, number>();
beforeAll(async () => {
  server = createServer((request, response) => {
    response.writeHead(codes.get(request.url ?? '') ?? 404).end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/demo`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const { signal } = new AbortController();
const path = `/demo/${'a'.repeat(32)}.narinfo`;

test.each([
  [200, 'there'],
  [404, 'missing'],
  // An object store that may not be listed says so of what it does not have, and so does one that wants credentials.
  [403, 'unknown'],
  [401, 'unknown'],
  [500, 'unknown'],
])('%i means %s', async (code, answer) => {
  codes.set(path, code);
  expect(await cacheAsker()(url, CLOSURE('web'), signal)).toBe(answer);
});

test('no server is no answer, and whoever ends is not told one', async () => {
  expect(await cacheAsker()('http://127.0.0.1:1/demo', CLOSURE('web'), signal)).toBe('unknown');
  const ended = AbortSignal.abort(new Error('ended'));
  await expect(cacheAsker()(url, CLOSURE('web'), ended)).rejects.toThrow('ended');
});
