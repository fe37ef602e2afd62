// What Node says of a certificate that does not fit becomes words with a remedy; each error is a real one.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { generate } from 'selfsigned';
import { afterEach, expect, test } from 'vitest';
import { tlsWords } from './tls-words.ts';

const DAY = 86_400_000;
const NOW = new Date('2026-03-01T10:00:00Z');
let server: Server | undefined;
afterEach(() => server?.close());

/** The error of dialling a server whose certificate is for `name` and those days. */
async function errorOf({ name = 'localhost', fromDays = -1, toDays = 1, isTrusted = true }): Promise<unknown> {
  const made = await generate([{ name: 'commonName', value: name }], {
    notBeforeDate: new Date(Date.now() + fromDays * DAY),
    notAfterDate: new Date(Date.now() + toDays * DAY),
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: name }] }],
  });
  server = createServer({ cert: made.cert, key: made.private });
  server.listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: 'localhost', ...(isTrusted ? { ca: made.cert } : {}) });
  const [error] = await once(socket, 'error');
  return error;
}

test.each([
  [
    'a clock that is slow',
    { fromDays: 1, toDays: 2 },
    /not valid yet: the clock of this machine says 2026-03-01T10:00:00Z; set it/,
  ],
  ['one that has expired', { fromDays: -2, toDays: -1 }, /has expired: .*renew the certificate/],
  ['another name', { name: 'floe-hub' }, /does not name localhost: add it to tls\.names .*\(DNS:floe-hub\)/],
  ['a CA that is not trusted', { isTrusted: false }, /services\.floe-agent\.caCertificate/],
])('%s', async (_, given, words) => {
  expect(tlsWords(await errorOf(given), { host: 'localhost', now: NOW })).toMatch(words);
});

test('another error keeps its own words', () => {
  expect(tlsWords(new Error('connect ECONNREFUSED'), { host: 'localhost', now: NOW })).toBeUndefined();
});
