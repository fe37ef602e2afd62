import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CacheReader, CacheUnreachable, cacheReader } from './binary-cache.ts';

const path = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a';
const other = '/nix/store/0iacmq2d49l5qm1xgkpr982m3rd9ax08-b';
const hash = 'sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h';
const text = `StorePath: ${path}\nURL: nar/x.nar\nCompression: none\nFileHash: ${hash}\nFileSize: 3\nNarHash: ${hash}\nNarSize: 3\nReferences: \n`;

let folder: string;
let server: Server;
/** Status by path that the server answers instead of the file. */
let answers: Record<string, number[]>;

beforeEach(async () => {
  answers = {};
  folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  await mkdir(join(folder, 'nar'));
  await writeFile(join(folder, 'miacmq2d49l5qm1xgkpr982m3rd9ax08.narinfo'), text);
  await writeFile(join(folder, 'nar/x.nar'), 'abc');
  const files: Record<string, string> = {
    '/ns/miacmq2d49l5qm1xgkpr982m3rd9ax08.narinfo': text,
    '/ns/nar/x.nar': 'abc',
  };
  server = createServer((request, response) => {
    const status = answers[request.url ?? '']?.shift();
    const file = files[request.url ?? ''];
    response.writeHead(
      status ?? (file === undefined ? 404 : 200),
      file === undefined ? {} : { 'content-length': file.length },
    );
    response.end(request.method === 'HEAD' ? undefined : file);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const { signal } = new AbortController();
const http = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/ns?compression=zstd`;

async function using<T>(url: string, task: (reader: CacheReader) => Promise<T>): Promise<T> {
  const reader = cacheReader(url, signal);
  if (reader === undefined) throw new Error(url);
  return task(reader).finally(async () => reader.close());
}

test.each([
  ['http', http],
  ['file', () => `file://${folder}?compression=zstd`],
])('%s: finds what is there', async (_kind, url) => {
  await using(url(), async (reader) => {
    const found = await reader.narinfo(path);
    if (found.kind !== 'found') throw new Error(found.kind);
    expect(found.info.narSize).toBe(3);
    expect(await reader.hasNar(found.info)).toBe(true);
    expect(await reader.hasNar({ ...found.info, fileSize: 4 })).toBe(false);
    expect(await reader.hasNar({ ...found.info, url: 'nar/y.nar' })).toBe(false);
    expect(await reader.narinfo(other)).toEqual({ kind: 'missing' });
  });
});

test('a narinfo about another path is damaged', async () => {
  await writeFile(join(folder, '0iacmq2d49l5qm1xgkpr982m3rd9ax08.narinfo'), text);
  expect((await using(`file://${folder}`, async (reader) => reader.narinfo(other))).kind).toBe('damaged');
});

test('a fault that passes is passed over', async () => {
  answers['/ns/miacmq2d49l5qm1xgkpr982m3rd9ax08.narinfo'] = [503];
  expect((await using(http(), async (reader) => reader.narinfo(path))).kind).toBe('found');
});

test('a server that is away can not be asked', async () => {
  const url = http();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await expect(using(url, async (reader) => reader.narinfo(path))).rejects.toThrow(CacheUnreachable);
});

test.each(['s3://bucket', 'ssh-ng://host', 'daemon'])('%s is for Nix to ask', (url) => {
  expect(cacheReader(url, signal)).toBeUndefined();
});
