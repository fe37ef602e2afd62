import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { machinesByMemory, memoryLimit } from './memory.ts';

const GIB = 2 ** 30;

test.each([
  [0.5 * GIB, 1],
  [1 * GIB, 1],
  [2 * GIB, 7],
  [4 * GIB, 21],
  [64 * GIB, 100],
])('%i bytes take %i machines', (bytes, machines) => {
  expect(machinesByMemory(bytes)).toBe(machines);
});

test.each([
  ['536870912\n', 536870912],
  ['max\n', totalmem()],
  ['', totalmem()],
  ['9223372036854771712', totalmem()],
])('a limit of %j', async (text, bytes) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  await writeFile(join(folder, 'memory.max'), text);
  expect(await memoryLimit([join(folder, 'memory.max'), join(folder, 'missing')])).toBe(bytes);
  await rm(folder, { recursive: true });
});
