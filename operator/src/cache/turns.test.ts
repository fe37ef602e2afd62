import { expect, test } from 'vitest';
import { Turns } from './turns.ts';

test('tasks on one key never overlap, and a failure holds up nobody', async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const task = (name: string, fails: boolean) => async () => {
    seen.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(`${name} ends`);
    if (fails) throw new Error(name);
  };
  const first = turns.run('k', task('a', true));
  const second = turns.run('k', task('b', false));
  await expect(first).rejects.toThrow('a');
  await second;
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});
