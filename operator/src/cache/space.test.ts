import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Space } from './space.ts';

const GIB = 1 << 30;

test('two uploads are never promised the same room', async () => {
  const space = new Space({ maxBytes: 100, minFreeBytes: 0 }, async () => GIB);
  const [one, two] = await Promise.all([space.reserve(60), space.reserve(60)]);
  expect([one.kind, two.kind]).toEqual(['granted', 'full']);
});

test('an aborted upload gives its room back, once', async () => {
  const space = new Space({ maxBytes: 100, minFreeBytes: 0 }, async () => GIB);
  const first = await space.reserve(100);
  if (first.kind !== 'granted') throw new Error('refused');
  first.release(0);
  first.release(50);
  expect(space.stored).toBe(0);
  expect((await space.reserve(100)).kind).toBe('granted');
});

test('the disk keeps its reserve, and the message says what to do', async () => {
  const space = new Space({ maxBytes: 0, minFreeBytes: GIB }, async () => GIB + 10);
  expect((await space.reserve(10)).kind).toBe('granted');
  const refused = await space.reserve(1);
  expect(refused).toMatchObject({ kind: 'full', message: expect.stringMatching(/cache is full.*1 GiB.*volume/) });
});

test.each([
  { maxBytes: 0, minFreeBytes: 10, disk: 110, left: 100 },
  { maxBytes: 1000, minFreeBytes: 10, disk: 110, left: 100 },
  { maxBytes: 60, minFreeBytes: 10, disk: 110, left: 60 },
  { maxBytes: 60, minFreeBytes: 200, disk: 110, left: 0 },
])('what is left: limit $maxBytes, reserve $minFreeBytes, $disk on the disk', async ({ disk, left, ...limits }) => {
  const space = new Space(limits, async () => disk);
  expect(await space.left()).toBe(left);
  if (left === 0) return;
  await space.reserve(25);
  expect(await space.left()).toBe(left - 25);
  expect((await space.reserve(left - 25)).kind).toBe('granted');
  expect(await space.left()).toBe(0);
});

test('what is stored and promised never passes the limit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 50 }), { maxLength: 30 }), async (sizes) => {
      const space = new Space({ maxBytes: 100, minFreeBytes: 0 }, async () => GIB);
      const rooms = await Promise.all(sizes.map((size) => space.reserve(size)));
      for (const [index, room] of rooms.entries()) if (room.kind === 'granted') room.release(sizes[index] ?? 0);
      expect(space.stored).toBeLessThanOrEqual(100);
    }),
  );
});

test('what is only announced keeps nobody else out; what has come in does', async () => {
  const MIB = 1 << 20;
  const space = new Space({ maxBytes: 1000 * MIB, minFreeBytes: 0 }, async () => 8 * GIB);
  const large = await space.reserve(1000 * MIB);
  if (large.kind !== 'granted') throw new Error('refused');
  const small = await space.reserve(100 * MIB);
  expect(small.kind).toBe('granted');
  if (small.kind === 'granted') small.release(100 * MIB);
  expect(await large.grow(880 * MIB)).toBeUndefined();
  expect(await large.grow(950 * MIB)).toContain('the cache is full');
  large.release(0);
  expect((await space.reserve(900 * MIB)).kind).toBe('granted');
});
