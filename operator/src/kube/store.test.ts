// Tests of the store: order of own writes and watch, indexes, deltas.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ConfigMap } from './builtin.ts';
import { type Delta, Store } from './store.ts';

function map(name: string, version: number | undefined, labels: Record<string, string> = {}): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace: 'n',
      labels,
      ...(version === undefined ? {} : { resourceVersion: String(version) }),
    },
  };
}

const version = (store: Store<ConfigMap>) => store.get('n/a')?.metadata.resourceVersion;

describe('order', () => {
  test.each<[string, (store: Store<ConfigMap>) => void, string | undefined]>([
    ['a newer put wins', (s) => [s.put(map('a', 9)), s.put(map('a', 10))], '10'],
    ['an older put is ignored', (s) => [s.put(map('a', 10)), s.put(map('a', 9))], '10'],
    ['without order the later one wins', (s) => [s.put(map('a', 10)), s.put(map('a', undefined))], undefined],
    ['an older removal is ignored', (s) => [s.put(map('a', 10)), s.remove('n/a', '9')], '10'],
    [
      'the echo of an own write does not resurrect what was removed at a later version',
      (s) => [s.put(map('a', 10)), s.remove('n/a', '12'), s.put(map('a', 11))],
      undefined,
    ],
    [
      'nor after the watch has gone on',
      (s) => [s.put(map('a', 10)), s.remove('n/a', '12'), s.advance('40'), s.put(map('a', 11))],
      undefined,
    ],
    ['nor when the watch never showed the object', (s) => [s.advance('40'), s.put(map('a', 39))], undefined],
    ['an own write ahead of the watch is kept', (s) => [s.advance('40'), s.put(map('a', 41))], '41'],
    ['an object made anew is kept', (s) => [s.put(map('a', 10)), s.remove('n/a', '12'), s.put(map('a', 13))], '13'],
    [
      'an own deletion is not undone by the watch that lags behind',
      (s) => [s.put(map('a', 10)), s.remove('n/a', '12'), s.advance('10'), s.put(map('a', 11))],
      undefined,
    ],
    [
      'a list shows what is, whatever its version',
      (s) => [s.advance('40'), s.put(map('a', 3), { initial: true })],
      '3',
    ],
    [
      'after the server went back in time the list is taken as it is',
      (s) => [s.put(map('a', 90)), s.advance('90'), s.forgetOrder(), s.put(map('a', 50), { initial: true })],
      '50',
    ],
    [
      'and what it lacks is removed',
      (s) => [s.put(map('a', 90)), s.advance('90'), s.forgetOrder(), s.remove('n/a', '50', { initial: true })],
      undefined,
    ],
  ])('%s', (_, act, expected) => {
    const store = new Store<ConfigMap>();
    act(store);
    expect(version(store)).toBe(expected);
  });
});

test('any order of the echo and of the watch ends in what the server holds', () => {
  // The watch shows the versions of one object in order, until its end; own writes echo any of them at any time.
  const scenario = fc.record({
    last: fc.integer({ min: 1, max: 6 }),
    deleted: fc.boolean(),
    echoes: fc.array(fc.record({ version: fc.integer({ min: 1, max: 6 }), after: fc.nat({ max: 7 }) })),
  });
  fc.assert(
    fc.property(scenario, ({ last, deleted, echoes }) => {
      const store = new Store<ConfigMap>();
      const echo = (step: number) => {
        for (const { version: v, after } of echoes) {
          if (after === step && v <= last) {
            store.put(map('a', v));
          }
        }
      };
      echo(0);
      for (let v = 1; v <= last; v += 1) {
        store.put(map('a', v));
        store.advance(String(v));
        echo(v);
      }
      if (deleted) {
        store.remove('n/a', String(last + 1));
        store.advance(String(last + 1));
      }
      for (let step = 0; step < 8; step += 1) {
        echo(step);
      }
      expect(version(store)).toBe(deleted ? undefined : String(last));
    }),
  );
});

test('indexes follow changes', () => {
  const store = new Store<ConfigMap>({ indexes: { owner: (object) => Object.keys(object.metadata.labels ?? {}) } });
  store.put(map('a', 1, { x: '', y: '' }));
  store.put(map('b', 2, { y: '' }));
  store.put(map('a', 3, { y: '' }));
  expect(store.by('owner', 'x')).toEqual([]);
  expect(store.by('owner', 'y').map((object) => object.metadata.name)).toEqual(['a', 'b']);
  store.remove('n/b');
  expect(store.count('owner', 'y')).toBe(1);
  expect(() => store.by('unknown', 'x')).toThrow('has no index unknown');
});

test('indexes always agree with a scan', () => {
  const change = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    labels: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
    remove: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const values = (object: ConfigMap) => Object.keys(object.metadata.labels ?? {});
      const store = new Store<ConfigMap>({ indexes: { label: values } });
      let at = 0;
      for (const { name, labels, remove } of changes) {
        at += 1;
        if (remove) {
          store.remove(`n/${name}`, String(at));
        } else {
          store.put(map(name, at, Object.fromEntries(labels.map((label) => [label, '']))));
        }
      }
      for (const value of ['x', 'y', 'z']) {
        const scan = store.list().filter((object) => values(object).includes(value));
        expect(new Set(store.by('label', value))).toEqual(new Set(scan));
        expect(store.count('label', value)).toBe(scan.length);
      }
    }),
  );
});

test('subscribers get what changed, with the old object, until they leave', () => {
  const store = new Store<ConfigMap>();
  const seen: string[] = [];
  const leave = store.subscribe(({ type, key, old, object, initial }: Delta<ConfigMap>) => {
    seen.push(
      `${type} ${key} ${old?.metadata.resourceVersion ?? '-'} ${object.metadata.resourceVersion}${initial ? ' list' : ''}`,
    );
  });
  store.put(map('a', 1), { initial: true });
  store.put(map('a', 1));
  store.put(map('a', 2));
  store.remove('n/a', '3');
  store.remove('n/a', '3');
  leave();
  store.put(map('a', 4));
  expect(seen).toEqual(['added n/a - 1 list', 'updated n/a 1 2', 'deleted n/a 2 2']);
});

test('managed fields are not kept', () => {
  const store = new Store<ConfigMap>();
  const given = map('a', 1);
  store.put({ ...given, metadata: { ...given.metadata, managedFields: [] } as ConfigMap['metadata'] });
  expect(store.get('n/a')).toEqual(given);
});

test('tombstones are bounded', () => {
  const store = new Store<ConfigMap>();
  for (let i = 0; i < 10_000; i += 1) {
    store.remove(`n/${i}`, String(i + 2));
  }
  // The oldest is forgotten, the youngest is not.
  expect(store.put(map('0', 1))).toBe(true);
  expect(store.put(map('9999', 1))).toBe(false);
});
