// The bench's objects are such as Floe reads them.
import { isStorePath } from '@floe/crds/nix-fingerprint';
import { parseNixConfig, parseNixMachine, parseRevisionRecord, parseRollout } from '@floe/crds/parse';
import { revisionClosures } from '@floe/crds/revision-closures';
import { expect, test } from 'vitest';
import {
  closureOf,
  configObject,
  machineNames,
  machineObject,
  recordObjects,
  revisionId,
  rolloutObject,
} from './objects.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

test('names sort as they count', () => {
  const names = machineNames(1000);
  expect(names.toSorted()).toEqual(names);
  expect(new Set(names).size).toBe(1000);
  expect([names[0], names.at(-1)]).toEqual(['m0001', 'm1000']);
});

test('objects pass the checks of the operator', () => {
  expect(parseNixConfig(configObject())).toMatchObject({ ok: true });
  expect(parseNixMachine(machineObject('m1', KEY))).toMatchObject({ ok: true });
  expect(parseRollout(rolloutObject())).toMatchObject({ ok: true });
});

test.each([
  { count: 1, perRecord: 2000, parts: 1 },
  { count: 2000, perRecord: 2000, parts: 1 },
  { count: 2001, perRecord: 2000, parts: 2 },
  { count: 7, perRecord: 2, parts: 4 },
])('$count machines, $perRecord for each record: $parts records that hold all', ({ count, perRecord, parts }) => {
  const names = machineNames(count);
  const revision = revisionId(1);
  const records = recordObjects(revision, names, { now: new Date(0), number: 1, perRecord });
  expect(records).toHaveLength(parts);
  for (const record of records) expect(parseRevisionRecord(record.data)).toMatchObject({ ok: true });
  const closures = revisionClosures(records);
  for (const name of names) expect(closures.of(name)).toMatchObject({ closure: closureOf(revision, name) });
  expect(closures.closures).toBe(count);
});

test('closures are store paths, other ones for each revision and machine', () => {
  const closures = [1, 2].flatMap((n) => ['m1', 'm2'].map((name) => closureOf(revisionId(n), name)));
  expect(closures.every(isStorePath)).toBe(true);
  expect(new Set(closures).size).toBe(4);
});
