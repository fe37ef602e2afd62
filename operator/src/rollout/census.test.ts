// The census of a namespace: kept change by change, it says what a scan would.
import type { NixMachine } from '@floe/crds/nix-machine';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { machineIndexes } from '../conditions/indexes.ts';
import { Store } from '../kube/store.ts';
import { Census } from './census.ts';
import { factsOf, isHealthy } from './facts.ts';
import { machine, off, R1, R2, runs, T0, told } from './rollout.fixture.ts';
import { type Groups, groupOf, Tally } from './tally.ts';

const GROUPING = {
  groupBy: 'service',
  selector: { matchExpressions: [{ key: 'service', operator: 'NotIn' as const, values: ['s9'] }] },
};

type Kind = 'off' | 'on' | 'told' | 'label' | 'config' | 'leave';
type Change = { readonly who: number; readonly what: Kind; readonly value: number };

const change: fc.Arbitrary<Change> = fc.record({
  who: fc.nat(9),
  what: fc.constantFrom<Kind>('off', 'on', 'told', 'label', 'config', 'leave'),
  value: fc.nat(2),
});

function made(index: number): NixMachine {
  const name = `m${index}`;
  const one = machine(name, runs(name, R1), { labels: { service: `s${index % 3}` } });
  return { ...one, spec: { ...one.spec, configRef: { name: index % 2 === 0 ? 'web' : 'db' } } };
}

/** The machine after a change; undefined: it is gone. */
function changed(one: NixMachine, { what, value }: Change): NixMachine | undefined {
  const { name } = one.metadata;
  switch (what) {
    case 'leave':
      return undefined;
    case 'off':
      return { ...one, status: { ...one.status, ...off() } };
    case 'on':
      return { ...one, status: runs(name, R1) };
    case 'told':
      return { ...one, status: { ...one.status, ...told(name, R2, 0) } };
    case 'label':
      return { ...one, metadata: { ...one.metadata, labels: { service: value === 2 ? 's9' : `s${value}` } } };
    case 'config':
      return { ...one, spec: { ...one.spec, configRef: { name: value === 0 ? 'web' : 'db' } } };
    default:
      return what satisfies never;
  }
}

function plain(groups: Groups): unknown {
  return [...groups].map(([key, { total, unavailable }]) => [key, total, [...unavailable].sort()]).sort();
}

function scan(machines: readonly NixMachine[]): unknown {
  const named = machines.flatMap((one) => {
    const key = groupOf(GROUPING, one);
    return key === undefined ? [] : [{ key, name: one.metadata.name, well: isHealthy(factsOf(one, T0)) }];
  });
  return [...Map.groupBy(named, ({ key }) => key)]
    .map(([key, list]) => [
      key,
      list.length,
      list
        .filter(({ well }) => !well)
        .map(({ name }) => name)
        .sort(),
    ])
    .sort();
}

test('after any changes the neighbours of a config are what a scan finds', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const store = new Store<NixMachine>({ indexes: machineIndexes });
      const census = new Census(store);
      let version = 1;
      const put = (one: NixMachine) =>
        store.put({ ...one, metadata: { ...one.metadata, resourceVersion: String(++version) } });
      for (let i = 0; i < 10; i++) put(made(i));
      census.neighbours('shop', 'shop/web').groups(GROUPING);
      for (const next of changes) {
        const key = `shop/m${next.who}`;
        const after = changed(store.get(key) ?? made(next.who), next);
        if (after === undefined) store.remove(key, String(++version));
        else put(after);
      }
      const seen = new Tally(GROUPING);
      for (const groups of census.neighbours('shop', 'shop/web').groups(GROUPING)) seen.merge(groups);
      expect(plain(seen.groups)).toEqual(scan(store.list().filter(({ spec }) => spec.configRef.name !== 'web')));
      census.close();
    }),
    { numRuns: 150 },
  );
});

test("machines of another namespace are nobody's neighbours, and what no budget asks for is forgotten", () => {
  const store = new Store<NixMachine>({ indexes: machineIndexes });
  const census = new Census(store);
  const other = made(1);
  store.put({ ...other, metadata: { ...other.metadata, namespace: 'elsewhere' } });
  const sizes = () =>
    census
      .neighbours('shop', 'shop/web')
      .groups({})
      .map((groups) => groups.get('')?.total);
  expect(sizes()).toEqual([]);
  store.put(made(1));
  expect(sizes()).toEqual([1]);
  census.keepOnly('shop', [{}]);
  store.put(made(3));
  expect(sizes()).toEqual([2]);
  census.keepOnly('shop', []);
  store.put(made(5));
  expect(sizes()).toEqual([3]);
});
