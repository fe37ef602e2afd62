import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { evaluationBudget, memoryLimit } from './memory.ts';

const MIB = 2 ** 20;

test.each([
  ['a limit', 4096 * MIB, 3936 * MIB],
  ['a limit that is hardly enough for Node', 100 * MIB, 160 * MIB],
  ['no limit: half of what is free', undefined, 1000 * MIB],
])('%s', (_what, limit, budget) => {
  expect(evaluationBudget(limit, 2000 * MIB)).toBe(budget);
});

test.each([
  ['536870912\n', 536870912],
  ['max\n', undefined],
  ['', undefined],
  ['9223372036854771712', undefined],
])('a limit of %j', async (text, bytes) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  await writeFile(join(folder, 'memory.max'), text);
  expect(await memoryLimit([join(folder, 'memory.max'), join(folder, 'missing')])).toBe(bytes);
  await rm(folder, { recursive: true });
});
