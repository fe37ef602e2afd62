import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toNixBase32 } from '@floe/crds/nix-base32';
import pino from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ReviewToken } from '../kube/token-review.ts';
import { runCache } from './run.ts';
import type { CacheSettings } from './settings.ts';

const HASH = 'miacmq2d49l5qm1xgkpr982m3rd9ax08';
const AUTH = { authorization: `Basic ${Buffer.from('floe:secret').toString('base64')}` };

let root: string;
let base: { port: number; httpPort: number };
let stop: AbortController;
let running: Promise<void>;

async function start(change: Partial<CacheSettings> = {}, reviewToken?: ReviewToken): Promise<void> {
  stop = new AbortController();
  const listening = Promise.withResolvers<{ port: number; httpPort: number }>();
  running = runCache(
    {
      directory: join(root, 'cache'),
      host: '127.0.0.1',
      port: 0,
      httpPort: 0,
      tls: undefined,
      uploadTokenFile: join(root, 'token'),
      tokenReview: reviewToken !== undefined,
      maxBytes: 0,
      minFreeBytes: 0,
      uploads: 4,
      drainSeconds: 5,
      ...change,
    },
    {
      signal: stop.signal,
      log: pino({ level: 'silent' }),
      registry: new Registry(),
      onListening: listening.resolve,
      ...(reviewToken === undefined ? {} : { reviewToken }),
    },
  );
  base = await Promise.race([listening.promise, running.then(() => Promise.reject(new Error('ended')))]);
}

async function restart(change: Partial<CacheSettings> = {}, reviewToken?: ReviewToken): Promise<void> {
  stop.abort();
  await running;
  await start(change, reviewToken);
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'floe-cache-test-'));
  await writeFile(join(root, 'token'), 'secret\n');
  await start();
});

afterEach(async () => {
  stop.abort();
  await running;
  await rm(root, { recursive: true, force: true });
});

type Got = { status: number; text: string; headers: IncomingHttpHeaders; continued: boolean };

async function ask(
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string | Buffer; port?: number } = {},
): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  let continued = false;
  const sent = httpRequest(
    { host: '127.0.0.1', port: options.port ?? base.port, method, path, headers: options.headers ?? {}, agent: false },
    (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(pieces).toString(),
          headers: response.headers,
          continued,
        }),
      );
    },
  );
  sent.on('error', reject);
  sent.on('continue', () => {
    continued = true;
    sent.end(options.body);
  });
  if (options.headers?.['expect'] === undefined) sent.end(options.body);
  else sent.flushHeaders();
  return promise;
}

/** A NAR (any bytes will do for the cache) with its name, and a narinfo for it. */
function nar(content: string) {
  const digest = toNixBase32(createHash('sha256').update(content).digest());
  const file = `${digest}.nar.zst`;
  return { content, digest, file, path: `/team-a/nar/${file}` };
}

function narinfo(of: ReturnType<typeof nar>, change: Record<string, string> = {}): string {
  const fields: Record<string, string> = {
    StorePath: `/nix/store/${HASH}-hello`,
    URL: `nar/${of.file}`,
    Compression: 'zstd',
    FileHash: `sha256:${of.digest}`,
    FileSize: String(of.content.length),
    NarHash: 'sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h',
    NarSize: '120',
    References: '',
    Sig: 'k-1:AAAA',
    ...change,
  };
  return `${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')}\n`;
}

const putNar = async (of: ReturnType<typeof nar>, headers: Record<string, string> = AUTH) =>
  ask('PUT', of.path, { headers: { ...headers, 'content-length': String(of.content.length) }, body: of.content });
const putInfo = async (text: string, name = `${HASH}.narinfo`, namespace = 'team-a') =>
  ask('PUT', `/${namespace}/${name}`, { headers: AUTH, body: text });

test('what was uploaded is served, with ranges and validators', async () => {
  const hello = nar('hello, this is a NAR');
  expect((await putNar(hello)).status).toBe(200);
  expect((await putInfo(narinfo(hello))).status).toBe(200);

  const whole = await ask('GET', hello.path);
  expect(whole).toMatchObject({ status: 200, text: hello.content });
  expect(whole.headers['cache-control']).toContain('immutable');
  const head = await ask('HEAD', hello.path);
  expect(head).toMatchObject({ status: 200, text: '' });
  expect(head.headers['content-length']).toBe(String(hello.content.length));
  const part = await ask('GET', hello.path, { headers: { range: 'bytes=7-10' } });
  expect(part).toMatchObject({ status: 206, text: 'this' });
  expect(part.headers['content-range']).toBe(`bytes 7-10/${hello.content.length}`);
  expect((await ask('GET', hello.path, { headers: { range: 'bytes=900-' } })).status).toBe(416);
  const etag = whole.headers.etag ?? '';
  expect((await ask('GET', hello.path, { headers: { 'if-none-match': etag } })).status).toBe(304);
  expect((await ask('GET', hello.path, { headers: { range: 'bytes=7-10', 'if-range': '"other"' } })).status).toBe(200);

  const info = await ask('GET', `/team-a/${HASH}.narinfo`);
  expect(info.text).toBe(narinfo(hello));
  expect(info.headers['content-type']).toBe('text/x-nix-narinfo');
  expect((await ask('GET', `/team-b/${HASH}.narinfo`)).status).toBe(404);
});

test('every namespace has its cache info, also an empty one', async () => {
  const info = await ask('GET', '/new-tenant/nix-cache-info');
  expect(info).toMatchObject({ status: 200, text: expect.stringContaining('StoreDir: /nix/store') });
  expect((await ask('PUT', '/new-tenant/nix-cache-info', { headers: AUTH, body: 'x' })).status).toBe(405);
});

test('uploads need a token', async () => {
  const hello = nar('x');
  const none = await putNar(hello, {});
  expect(none.status).toBe(401);
  expect(none.headers['www-authenticate']).toContain('Basic');
  expect((await putNar(hello, { authorization: `Basic ${Buffer.from('floe:wrong').toString('base64')}` })).status).toBe(
    403,
  );
  expect((await ask('GET', hello.path)).status).toBe(404);
});

test('a rotated token file counts at once', async () => {
  await writeFile(join(root, 'token'), 'new');
  expect((await putNar(nar('x'))).status).toBe(403);
  expect((await putNar(nar('x'), { authorization: 'Bearer new' })).status).toBe(200);
});

test("a build's token writes to its own namespace only, and an API server that is away is no refusal", async () => {
  let isAway = false;
  await restart({ uploadTokenFile: undefined }, async ({ audiences }) => {
    if (isAway) throw new Error('connection refused');
    return { authenticated: true, audiences, user: { username: 'system:serviceaccount:team-a:default' } };
  });
  const hello = nar('x');
  const header = { authorization: `Basic ${Buffer.from('floe:token-1').toString('base64')}` };
  expect((await putNar(hello, header)).status).toBe(200);
  const foreign = await ask('PUT', `/team-b/nar/${hello.file}`, {
    headers: { ...header, 'content-length': '1' },
    body: 'x',
  });
  expect(foreign).toMatchObject({ status: 403, text: expect.stringContaining('namespace team-a') });
  isAway = true;
  const away = await putNar(nar('y'), { authorization: 'Bearer token-2' });
  expect(away).toMatchObject({ status: 503, text: expect.stringContaining('connection refused') });
  expect(away.headers['retry-after']).toBe('5');
});

test.each([
  ['a body that is not what its name says', 'other', 422],
  ['more bytes than its name says', 'hello, this is a NAR and more', 422],
])('refuses %s', async (_what, body, status) => {
  const hello = nar('hello, this is a NAR');
  const got = await ask('PUT', hello.path, { headers: { ...AUTH, 'content-length': String(body.length) }, body });
  expect(got.status).toBe(status);
  expect((await ask('HEAD', hello.path)).status).toBe(404);
  expect(await readdir(join(root, 'cache', '.tmp'))).toEqual([]);
});

test('an upload without a length is refused', async () => {
  const got = await ask('PUT', nar('x').path, { headers: { ...AUTH, 'transfer-encoding': 'chunked' }, body: 'x' });
  expect(got.status).toBe(411);
});

test.each<[string, Record<string, string>, string]>([
  ['another path', { StorePath: '/nix/store/0iacmq2d49l5qm1xgkpr982m3rd9ax08-hello' }, 'StorePath'],
  [
    'a NAR that is not there',
    { URL: `nar/${'0'.repeat(52)}.nar.zst`, FileHash: `sha256:${'0'.repeat(52)}` },
    'upload the NAR first',
  ],
  ['a NAR elsewhere', { URL: 'https://elsewhere.example/x.nar' }, 'URL'],
  ['a NAR outside', { URL: 'nar/../../team-b/x.nar' }, 'URL'],
  ['a hash that is not that of the file', { FileHash: `sha256:${'0'.repeat(52)}` }, 'FileHash'],
  ['a size that is not that of the file', { FileSize: '1' }, 'FileSize'],
  ['a malformed reference', { References: '../../etc/passwd' }, 'References'],
  ['no hash', { NarHash: '' }, 'NarHash'],
])('refuses a narinfo with %s', async (_what, change, word) => {
  const hello = nar('hello');
  await putNar(hello);
  expect(await putInfo(narinfo(hello, change))).toMatchObject({ status: 422, text: expect.stringContaining(word) });
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).status).toBe(404);
});

test('refuses a narinfo that is too large', async () => {
  expect((await putInfo('x'.repeat((1 << 20) + 1))).status).toBe(413);
});

test('a narinfo is never replaced by one with other content', async () => {
  const hello = nar('hello');
  await putNar(hello);
  await putInfo(narinfo(hello));
  expect((await putInfo(narinfo(hello))).status).toBe(200);
  const other = await putInfo(narinfo(hello, { NarSize: '121' }));
  expect(other).toMatchObject({ status: 409, text: expect.stringContaining('never replaced') });
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).text).toBe(narinfo(hello));
});

test('signatures are added, also by many at once', async () => {
  const hello = nar('hello');
  await putNar(hello);
  const keys = Array.from({ length: 8 }, (_, index) => `k-${index}:AAAA`);
  const answers = await Promise.all(keys.map(async (key) => putInfo(narinfo(hello, { Sig: key }))));
  expect(answers.map((answer) => answer.status)).toEqual(keys.map(() => 200));
  const { text } = await ask('GET', `/team-a/${HASH}.narinfo`);
  for (const key of keys) expect(text).toContain(`Sig: ${key}`);
});

test('the same NAR uploaded many times at once is stored once', async () => {
  const hello = nar('hello');
  const answers = await Promise.all(Array.from({ length: 10 }, async () => putNar(hello)));
  expect(answers.every((answer) => answer.status === 200)).toBe(true);
  expect(await readdir(join(root, 'cache', 'team-a', 'nar'))).toEqual([hello.file]);
  const metrics = await ask('GET', '/metrics', { port: base.httpPort });
  expect(metrics.text).toMatch(/floe_cache_stored_bytes 5\n/);
});

test.each([
  '/../../etc/passwd',
  '/team-a/../../../etc/passwd',
  '/team-a/nar/..%2f..%2f..%2fetc%2fpasswd',
  '/team-a/%2e%2e/secret',
  '/.tmp/nix-cache-info/x',
  '//etc/passwd',
])('%s leads nowhere', async (path) => {
  await writeFile(join(root, 'secret'), 'secret');
  expect((await ask('GET', path)).status).toBe(404);
  expect((await ask('PUT', path, { headers: AUTH, body: 'x' })).status).toBe(404);
});

test('other methods are refused', async () => {
  expect((await ask('DELETE', nar('x').path, { headers: AUTH })).status).toBe(405);
});

test('a full cache says so, and keeps what it has', async () => {
  await restart({ maxBytes: 30 });
  const first = nar('twenty bytes of data');
  expect((await putNar(first)).status).toBe(200);
  const before = await ask('GET', '/metrics', { port: base.httpPort });
  expect(before.text).toContain('floe_cache_errors_total{cause="full"} 0');
  expect(before.text).toContain('floe_cache_limit_bytes 30\n');
  expect(before.text).toContain('floe_cache_free_bytes 10\n');
  const second = await putNar(nar('another twenty bytes'));
  expect(second).toMatchObject({ status: 507, text: expect.stringMatching(/cache is full.*20 B of 30 B.*--max-size/) });
  expect((await putNar(first)).status).toBe(200);
  expect((await ask('GET', first.path)).text).toBe(first.content);
  const metrics = await ask('GET', '/metrics', { port: base.httpPort });
  expect(metrics.text).toContain('floe_cache_errors_total{cause="full"} 1');
});

test('what lay there before a start counts', async () => {
  await putNar(nar('twenty bytes of data'));
  await restart({ maxBytes: 30 });
  expect((await putNar(nar('another twenty bytes'))).status).toBe(507);
});

test('a disk without room is a full cache', async () => {
  await restart({ minFreeBytes: Number.MAX_SAFE_INTEGER });
  expect(await putNar(nar('x'))).toMatchObject({ status: 507, text: expect.stringContaining('disk') });
});

test('an upload that is broken off leaves nothing behind and gives its room back', async () => {
  await restart({ maxBytes: 1_000_050, uploads: 1 });
  const socket = connect(base.port, '127.0.0.1');
  socket.write(
    `PUT ${nar('never').path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTH.authorization}\r\nContent-Length: 1000000\r\n\r\nabc`,
  );
  await expect.poll(async () => readdir(join(root, 'cache', '.tmp'))).toHaveLength(1);
  socket.destroy();
  await expect.poll(async () => readdir(join(root, 'cache', '.tmp'))).toEqual([]);
  expect((await putNar(nar('x'.repeat(1000)))).status).toBe(200);
});

test('half-written files of an earlier process go at the start', async () => {
  await mkdir(join(root, 'cache', '.tmp'), { recursive: true });
  await writeFile(join(root, 'cache', '.tmp', 'left'), 'x');
  await restart();
  expect(await readdir(join(root, 'cache', '.tmp'))).toEqual([]);
});

test('a client that waits for leave to send gets it at once, or the refusal', async () => {
  const hello = nar('hello');
  const headers = { ...AUTH, expect: '100-continue', 'content-length': '5' };
  expect(await ask('PUT', hello.path, { headers, body: 'hello' })).toMatchObject({ status: 200, continued: true });
  const again = await ask('PUT', hello.path, { headers, body: 'hello' });
  expect(again).toMatchObject({ status: 200, continued: false });
  const refused = await ask('PUT', nar('x').path, {
    headers: { expect: '100-continue', 'content-length': '1' },
    body: 'x',
  });
  expect(refused).toMatchObject({ status: 401, continued: false });
});

test('health, readiness and metrics', async () => {
  expect((await ask('GET', '/healthz', { port: base.httpPort })).status).toBe(200);
  expect((await ask('GET', '/readyz', { port: base.httpPort })).status).toBe(200);
  await ask('GET', '/team-a/nix-cache-info');
  const metrics = await ask('GET', '/metrics', { port: base.httpPort });
  expect(metrics.text).toContain('floe_cache_requests_total{method="GET",kind="info",code="200"} 1');
  expect((await ask('GET', '/', { port: base.httpPort })).status).toBe(404);
});

test('a running upload may end at a shutdown', async () => {
  const hello = nar('hello');
  const socket = connect(base.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (piece) => {
    answer += piece.toString();
  });
  socket.write(
    `PUT ${hello.path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTH.authorization}\r\nContent-Length: 5\r\n\r\nhe`,
  );
  await expect.poll(async () => readdir(join(root, 'cache', '.tmp'))).toHaveLength(1);
  stop.abort();
  socket.write('llo');
  await running;
  await expect.poll(() => answer).toContain('200 OK');
  expect(await readFile(join(root, 'cache', 'team-a', 'nar', hello.file), 'utf8')).toBe('hello');
  socket.destroy();
});

test('a record whose content is gone is no record, and is stored again', async () => {
  const first = nar('a NAR that is lost');
  const second = nar('the same content, compressed otherwise');
  await putNar(first);
  await putInfo(narinfo(first));
  await rm(join(root, 'cache/team-a/nar', first.file));
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).status).toBe(404);
  await putNar(second);
  expect((await putInfo(narinfo(second))).status).toBe(200);
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).text).toContain(second.file);
});

test('a NAR that was cut off is stored again under its name', async () => {
  const hello = nar('a NAR that is cut off');
  await putNar(hello);
  await putInfo(narinfo(hello));
  await truncate(join(root, 'cache/team-a/nar', hello.file), 3);
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).status).toBe(404);
  expect((await putNar(hello)).text).toContain('in place of a damaged file');
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).status).toBe(200);
});

test('a link that looks like a narinfo is not followed', async () => {
  const secret = join(root, 'elsewhere');
  await writeFile(secret, 'of the host');
  await mkdir(join(root, 'cache/team-a'), { recursive: true });
  await symlink(secret, join(root, `cache/team-a/${HASH}.narinfo`));
  expect((await ask('GET', `/team-a/${HASH}.narinfo`)).status).toBe(404);
});

test('what a refused client goes on to send is not read to its end', async () => {
  const socket = connect(base.port, '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  let answer = '';
  socket.on('data', (piece) => {
    answer += String(piece);
  });
  socket.write(`PUT ${nar('x').path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${1 << 30}\r\n\r\n`);
  let sent = 0;
  const more = Buffer.alloc(64 << 10);
  const feed = (): void => {
    while (!socket.destroyed && sent < 1 << 30) {
      sent += more.length;
      if (!socket.write(more)) return;
    }
  };
  socket.on('drain', feed);
  feed();
  await closed;
  expect(answer).toContain('401');
  expect(sent).toBeLessThan(64 << 20);
});
