import { expect, test } from 'vitest';
import { Slots } from './slots.ts';

const signal = new AbortController().signal;

test('lets the next one in when one leaves, in order', async () => {
  const slots = new Slots(1);
  const first = await slots.take({ waitSeconds: 60, signal });
  const order: string[] = [];
  const second = slots.take({ waitSeconds: 60, signal }).then((release) => {
    order.push('second');
    return release;
  });
  const third = slots.take({ waitSeconds: 60, signal }).then(() => order.push('third'));
  expect(slots.taken).toBe(1);
  first?.();
  first?.();
  (await second)?.();
  await third;
  expect(order).toEqual(['second', 'third']);
  expect(slots.taken).toBe(1);
});

test('says no after the wait', async () => {
  const slots = new Slots(1);
  await slots.take({ waitSeconds: 0, signal });
  expect(await slots.take({ waitSeconds: 0.01, signal })).toBeUndefined();
});

test('a client that goes away leaves the line', async () => {
  const slots = new Slots(1);
  const release = await slots.take({ waitSeconds: 60, signal });
  const gone = new AbortController();
  const waiting = slots.take({ waitSeconds: 60, signal: gone.signal });
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  release?.();
  expect(slots.taken).toBe(0);
});
