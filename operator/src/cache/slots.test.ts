import { expect, test } from 'vitest';
import { Slots } from './slots.ts';

const signal = new AbortController().signal;

test('lets the next one in when one leaves, in order', async () => {
  const slots = new Slots(1);
  const first = await slots.take('a', { waitSeconds: 60, signal });
  const order: string[] = [];
  const second = slots.take('a', { waitSeconds: 60, signal }).then((release) => {
    order.push('second');
    return release;
  });
  const third = slots.take('a', { waitSeconds: 60, signal }).then(() => order.push('third'));
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
  await slots.take('a', { waitSeconds: 0, signal });
  expect(await slots.take('a', { waitSeconds: 0.01, signal })).toBeUndefined();
});

test('a client that goes away leaves the line', async () => {
  const slots = new Slots(1);
  const release = await slots.take('a', { waitSeconds: 60, signal });
  const gone = new AbortController();
  const waiting = slots.take('a', { waitSeconds: 60, signal: gone.signal });
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  release?.();
  expect(slots.taken).toBe(0);
});

test('one namespace takes half of the slots at most, and the longest wait that may go is next', async () => {
  const slots = new Slots(4);
  const order: string[] = [];
  const take = async (namespace: string) => {
    const release = await slots.take(namespace, { waitSeconds: 60, signal });
    order.push(namespace);
    return release;
  };
  const first = await take('slow');
  await take('slow');
  const third = take('slow');
  await take('other');
  expect(order).toEqual(['slow', 'slow', 'other']);
  first?.();
  await third;
  expect(slots.taken).toBe(3);
});

test('an abort in the moment in which a slot comes free loses no slot', async () => {
  const slots = new Slots(1);
  const release = await slots.take('a', { waitSeconds: 60, signal });
  const gone = new AbortController();
  const waiting = slots.take('b', { waitSeconds: 60, signal: gone.signal });
  gone.abort(new Error('gone'));
  release?.();
  await expect(waiting).rejects.toThrow('gone');
  expect(await slots.take('c', { waitSeconds: 60, signal })).toBeDefined();
});
