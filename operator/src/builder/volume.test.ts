import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readBuilt, readLocked, writeWork } from './volume.ts';

const closure = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-nixos';
let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'floe-test-'));
});
afterEach(async () => rm(work, { recursive: true }));

test('what was written is read', async () => {
  const locked = { locked: 'path:/x', source: closure, startedAt: 1 };
  await writeWork(work, 'locked.json', locked);
  expect(await readLocked(work)).toEqual(locked);
});

test('every machine that was asked for has a closure or a failure, and no other', async () => {
  await writeWork(work, 'built.json', {
    closures: { a: closure, stranger: closure },
    failures: { b: { stage: 'Evaluation', message: 'm' } },
    builtDerivations: 2,
    sandboxed: true,
  });
  expect(await readBuilt(work, ['a', 'b', 'c'])).toEqual({
    closures: { a: closure },
    failures: {
      b: { stage: 'Evaluation', message: 'm' },
      c: { stage: 'Build', message: expect.stringContaining('said nothing') },
    },
    builtDerivations: 2,
    sandboxed: true,
  });
});

const good = { closures: {}, failures: {}, builtDerivations: 0, sandboxed: false };
test.each<[string, unknown]>([
  ['no object', []],
  ['a closure outside the store', { ...good, closures: { a: '/etc/shadow' } }],
  ['a closure below a store path', { ...good, closures: { a: `${closure}/../../etc` } }],
  ['a failure of an unknown stage', { ...good, failures: { a: { stage: 'X', message: '' } } }],
  ['a message that is too long', { ...good, failures: { a: { stage: 'Build', message: 'x'.repeat(3000) } } }],
  ['a negative number', { ...good, builtDerivations: -1 }],
])('refuses %s', async (_what, value) => {
  await writeFile(join(work, 'built.json'), JSON.stringify(value));
  await expect(readBuilt(work, ['a'])).rejects.toThrow('built.json');
});

test('a name like __proto__ is a name', async () => {
  await writeFile(
    join(work, 'built.json'),
    `{"closures":{"__proto__":"${closure}"},"failures":{},"builtDerivations":0}`,
  );
  expect(Object.keys((await readBuilt(work, ['a'])).closures)).toEqual([]);
});

test('a link is not followed, so no secret ends in an error', async () => {
  await writeFile(join(work, 'secret'), 'team-a-floe-1:SECRET');
  await symlink(join(work, 'secret'), join(work, 'built.json'));
  const error = await readBuilt(work, ['a']).catch((failure: unknown) => failure);
  expect(String(error)).not.toContain('SECRET');
  await rm(join(work, 'built.json'));
  await writeFile(join(work, 'built.json'), 'team-a-floe-1:SECRET');
  expect(String(await readBuilt(work, ['a']).catch((failure: unknown) => failure))).not.toContain('SECRET');
});
