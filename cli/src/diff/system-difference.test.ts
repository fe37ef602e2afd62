// Units of two systems: what depends on more than one file, drop-ins, instances, masks and sockets.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCache } from './cache-files.ts';
import { type Files, TestCache } from './diff.fixture.ts';
import { systemDifference } from './system-difference.ts';

let cache: TestCache;
beforeAll(async () => {
  cache = new TestCache(await mkdtemp(join(tmpdir(), 'floe-units-')));
});
afterAll(() => rm(cache.folder, { recursive: true }));

type Units = { readonly [name: string]: Files };
const service = (exec: string, more = ''): string => `[Service]\nExecStart=${exec}\n${more}`;
const dropIn = (text: string): Files => ({ 'overrides.conf': `[Service]\n${text}\n` });
const MASK = '-> /dev/null';
let systems = 0;
const system = (units: Units) =>
  cache.add(`nixos-system-web-26.05#${systems++}`, { etc: { systemd: { system: units } }, 'kernel-params': 'quiet' });

const SOCKET = '[Socket]\nListenStream=1\n';
const both = { 'x.socket': SOCKET };

test.each<{ name: string; before: Units; after: Units; units: Record<string, readonly string[]> }>([
  {
    name: 'another drop-in',
    before: { 'x.service': service('/a'), 'x.service.d': dropIn('User=a') },
    after: { 'x.service': service('/a'), 'x.service.d': dropIn('User=b') },
    units: { restart: ['x.service'] },
  },
  {
    name: 'a drop-in that says what the unit said',
    before: { 'x.service': service('/b') },
    after: { 'x.service': service('/a'), 'x.service.d': dropIn('ExecStart=\nExecStart=/b') },
    units: {},
  },
  {
    name: 'a file beside the drop-ins that is none',
    before: { 'x.service': service('/a'), 'x.service.d': dropIn('User=a') },
    after: { 'x.service': service('/a'), 'x.service.d': { 'overrides.conf': '[Service]\nUser=a\n', notes: 'x' } },
    units: {},
  },
  {
    name: 'a masked drop-in',
    before: { 'x.service': service('/a'), 'x.service.d': dropIn('User=a') },
    after: { 'x.service': service('/a'), 'x.service.d': { 'overrides.conf': MASK } },
    units: { restart: ['x.service'] },
  },
  {
    name: 'a masked unit',
    before: { 'x.service': service('/a'), 'y.service': service('/a') },
    after: { 'x.service': MASK, 'y.service': service('/a') },
    units: { stop: ['x.service'] },
  },
  {
    name: 'an instance by drop-ins, whose template changed',
    before: { 'x@.service': service('/a'), 'x@1.service.d': dropIn('User=a') },
    after: { 'x@.service': service('/b'), 'x@1.service.d': dropIn('User=a') },
    units: { restart: ['x@.service', 'x@1.service'] },
  },
  {
    name: 'an instance by drop-ins, which changed',
    before: { 'x@.service': service('/a'), 'x@1.service.d': dropIn('User=a') },
    after: { 'x@.service': service('/a'), 'x@1.service.d': dropIn('User=b') },
    units: { restart: ['x@1.service'] },
  },
  {
    name: 'an instance whose drop-ins are gone',
    before: { 'x@.service': service('/a'), 'x@1.service.d': dropIn('User=a') },
    after: { 'x@.service': service('/a') },
    units: { stop: ['x@1.service'] },
  },
  {
    name: 'an instance whose drop-ins are masked',
    before: { 'x@.service': service('/a'), 'x@1.service.d': dropIn('User=a') },
    after: { 'x@.service': service('/a'), 'x@1.service.d': { 'overrides.conf': MASK } },
    units: { stop: ['x@1.service'] },
  },
  {
    name: 'a service with a socket: it is stopped, and the socket starts it',
    before: { 'x.service': service('/a'), ...both },
    after: { 'x.service': service('/b'), ...both },
    units: { restart: ['x.socket'], stop: ['x.service'] },
  },
  {
    name: 'a service that is not to be left to its socket',
    before: { 'x.service': service('/a'), ...both },
    after: { 'x.service': service('/b', 'X-NotSocketActivated=true\n'), ...both },
    units: { restart: ['x.service', 'x.socket'] },
  },
  {
    name: 'a service that gets a socket',
    before: { 'x.service': service('/a') },
    after: { 'x.service': service('/b'), ...both, 'sockets.target.wants': { 'x.socket': '-> ../x.socket' } },
    units: { start: ['x.socket'], stop: ['x.service'] },
  },
  {
    name: 'a service that loses its socket',
    before: { 'x.service': service('/a'), ...both },
    after: { 'x.service': service('/b') },
    units: { restart: ['x.service'], stop: ['x.socket'] },
  },
  {
    name: 'a socket alone',
    before: { 'x.service': service('/a'), ...both },
    after: { 'x.service': service('/a'), 'x.socket': '[Socket]\nListenStream=2\n' },
    units: {},
  },
])('$name', async ({ before, after, units }) => {
  const signal = new AbortController().signal;
  const [old, next] = [await system(before), await system(after)];
  const files = openCache(cache.url, signal);
  const none = { restart: [], reload: [], start: [], stop: [], keep: [] };
  expect(await systemDifference(old, next, files)).toMatchObject({ units: { ...none, ...units }, unknown: [] });
});
