// What containerd keeps: images come back, what ran with them does not, and what is of an older form is not trusted.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ContainerdRoot } from './containerd-root.ts';

const overlay = 'containerd/io.containerd.snapshotter.v1.overlayfs';
const content = 'containerd/io.containerd.content.v1.content/blobs/sha256';
const bolt = 'containerd/io.containerd.metadata.v1.bolt/meta.db';
const image = { ref: 'localhost/floe:1', key: '1' };
let dir = '';

async function put(path: string, text: string): Promise<void> {
  await mkdir(join(dir, path, '..'), { recursive: true });
  await writeFile(join(dir, path), text);
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'floe-containerd-'));
  await put(bolt, 'images');
  await put(`${overlay}/metadata.db`, 'layers');
  await put(`${overlay}/snapshots/1/fs`, 'layer');
  await put(`${content}/aa`, 'blob');
});

afterEach(() => rm(dir, { recursive: true, force: true }));

test('images stay, containers go', async () => {
  await new ContainerdRoot(dir).remember([image]);
  await put(bolt, 'images and a pod');
  await put(`${overlay}/snapshots/2/fs`, 'what the pod wrote');
  await put(`${content}/bb`, 'loaded later');
  await put('containerd/io.containerd.grpc.v1.cri/sandboxes/x', 'pod');
  await new ContainerdRoot(dir).reset();
  expect(await readFile(join(dir, bolt), 'utf8')).toBe('images');
  expect(await readdir(join(dir, overlay, 'snapshots'))).toEqual(['1']);
  expect(await readdir(join(dir, content))).toEqual(['aa']);
  expect(await readdir(join(dir, 'containerd'))).not.toContain('io.containerd.grpc.v1.cri');
});

test('knows which images are missing, by version', async () => {
  const root = new ContainerdRoot(dir);
  expect(await root.missing([image])).toEqual([image]);
  await root.remember([image]);
  expect(await root.missing([image, { ...image, key: '2' }])).toEqual([{ ...image, key: '2' }]);
});

test.each([
  ['nothing was remembered', async () => {}],
  ['what was remembered has an older form', () => put('containerd-clean/memory.json', '{"images":[]}')],
])('all goes where %s', async (_, prepare) => {
  await prepare();
  await new ContainerdRoot(dir).reset();
  expect(await readdir(dir)).toEqual([]);
});
