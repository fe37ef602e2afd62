import { parseBuildProgress } from '@floe/crds/parse';
import { expect, test } from 'vitest';
import { Progress } from './progress.ts';

function make() {
  const lines: string[] = [];
  let now = 0;
  const progress = new Progress('Building', { write: (line) => lines.push(line), now: () => now });
  return { lines, progress, pass: (ms: number) => (now += ms) };
}

test('numbers are told at most once a second, and the last ones always', () => {
  const { lines, progress, pass } = make();
  for (let built = 0; built < 10; built++) progress.set({ built, total: 10 });
  expect(lines).toHaveLength(1);
  pass(1000);
  progress.set({ built: 10 });
  expect(lines).toHaveLength(2);
  progress.set({ built: 11 });
  progress.flush();
  progress.flush();
  expect(lines.map((line) => JSON.parse(line).built)).toEqual([0, 10, 11]);
  for (const line of lines) expect(parseBuildProgress(JSON.parse(line)).ok).toBe(true);
});

test('a sentence is told at once, and cut', () => {
  const { lines, progress } = make();
  progress.say('x'.repeat(5000));
  expect(parseBuildProgress(JSON.parse(lines[0] ?? '')).ok).toBe(true);
});

test('what a build prints never passes for progress', () => {
  const { lines, progress } = make();
  progress.line('{"floe":"progress","phase":"Pushing"}');
  progress.line(' {"floe":"progress","phase":"Pushing"}');
  for (const line of lines) expect(() => JSON.parse(line)).toThrow();
});
