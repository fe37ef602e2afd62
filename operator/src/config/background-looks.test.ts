// Which looks run at once, and which of them are heard.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BackgroundLooks } from './background-looks.ts';

/** A step: look at a key, forget it, end the oldest look that runs at it, or abort everything. */
type Step = `${'look' | 'forget' | 'end'} ${string}` | 'abort';

/** What was begun (`a1` is the first look at a) and what was heard, in order. */
type Course = { readonly begun: readonly string[]; readonly heard: readonly string[]; readonly most: number };

async function play(steps: readonly Step[], limit: number): Promise<Course> {
  const abort = new AbortController();
  const running: { readonly key: string; readonly end: () => void }[] = [];
  const [begun, heard]: [string[], string[]] = [[], []];
  let asked = 0;
  let most = 0;
  const looks = new BackgroundLooks<string, string>({
    look: (key, what) => {
      begun.push(what);
      const { promise, resolve } = Promise.withResolvers<string>();
      running.push({ key, end: () => resolve(`found ${what}`) });
      most = Math.max(most, running.length);
      return promise;
    },
    onFound: (key, what, found) => {
      expect([what.slice(0, 1), found]).toEqual([key, `found ${what}`]);
      heard.push(what);
    },
    signal: abort.signal,
    limit,
  });
  for (const step of steps) {
    const [verb, key = ''] = step.split(' ');
    if (verb === 'look') asked += looks.start(key, `${key}${asked + 1}`) ? 1 : 0;
    if (verb === 'forget') looks.forget(key);
    if (verb === 'abort') abort.abort();
    const index = verb === 'end' ? running.findIndex((look) => look.key === key) : -1;
    if (index >= 0) running.splice(index, 1)[0]?.end();
    await new Promise(setImmediate);
  }
  return { begun, heard, most };
}

test.each<[string, readonly Step[], number, readonly string[], readonly string[]]>([
  ['what is found is heard', ['look a', 'end a'], 1, ['a1'], ['a1']],
  ['one look for each key', ['look a', 'look a', 'end a'], 2, ['a1'], ['a1']],
  ['and another once it has ended', ['look a', 'end a', 'look a', 'end a'], 1, ['a1', 'a2'], ['a1', 'a2']],
  ['so many at once', ['look a', 'look b', 'look c'], 2, ['a1', 'b2'], []],
  ['the others in their order', ['look a', 'look c', 'look b', 'end a', 'end c'], 1, ['a1', 'c2', 'b3'], ['a1', 'c2']],
  ['each is heard as it ends', ['look a', 'look b', 'end b', 'end a'], 2, ['a1', 'b2'], ['b2', 'a1']],
  ['one that waits is forgotten', ['look a', 'look b', 'forget b', 'end a'], 1, ['a1'], ['a1']],
  ['one that runs ends unheard', ['look a', 'forget a', 'end a'], 1, ['a1'], []],
  ['and keeps its place until then', ['look a', 'forget a', 'look b', 'end a', 'end b'], 1, ['a1', 'b2'], ['b2']],
  ['the look after it is heard', ['look a', 'forget a', 'look a', 'end a', 'end a'], 2, ['a1', 'a2'], ['a2']],
  ['after the end nothing begins, nothing is heard', ['look a', 'look b', 'abort', 'end a'], 1, ['a1'], []],
])('%s', async (_what, steps, limit, begun, heard) => {
  expect(await play(steps, limit)).toMatchObject({ begun, heard });
});

test('never more at once than allowed, and each look is heard once at most', async () => {
  const verb = fc.constantFrom('look' as const, 'forget' as const, 'end' as const);
  const step = fc.tuple(verb, fc.constantFrom('a', 'b', 'c', 'd')).map(([verb, key]): Step => `${verb} ${key}`);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), async (steps, limit) => {
      const { begun, heard, most } = await play(steps, limit);
      expect(most).toBeLessThanOrEqual(limit);
      expect(new Set(heard).size).toBe(heard.length);
      expect(begun).toEqual(expect.arrayContaining([...heard]));
    }),
  );
});
