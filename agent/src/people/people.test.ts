// Asking the people at a machine: once, again after a deferral, never beyond the limit; and what their four words do.
import { once } from 'node:events';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConsentStatus } from '@floe/crds/consent';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AttemptRecord } from '../attempt/record.ts';
import { newAttempt } from '../attempt/record.ts';
import { diskFiles } from '../journal/files.ts';
import { parseAccounts } from '../secrets/accounts.ts';
import { askLocal } from './ask-local.ts';
import { describeWait } from './consent.ts';
import { consentFile } from './consent-file.ts';
import { desktopUsers } from './desktop.ts';
import { type LocalRequest, parseRequest } from './local-protocol.ts';
import { serveLocal } from './local-socket.ts';
import { People } from './people.ts';
import { earlierSystem } from './user-rollback.ts';

const T = Date.parse('2026-03-01T10:00:00Z');
const HOUR = 3_600_000;
const rfc = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const question = { id: 'order-1', closure: '/nix/store/x', until: rfc(T + 72 * HOUR) };

let now: number;
let shown: string[];
let changes: (ConsentStatus | undefined)[];
let kept: ConsentStatus | undefined;

beforeEach(() => {
  vi.useFakeTimers({ now: T, toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  [now, shown, changes, kept] = [T, [], [], undefined];
});
afterEach(() => vi.useRealTimers());

function people(): People {
  const made = new People({
    store: {
      load: async () => kept,
      save: async (consent) => {
        kept = consent;
      },
    },
    notify: async (_, body) => {
      shown.push(body);
    },
    rollback: async () => ({ ok: true, message: 'going back' }),
    status: async () => ({ text: 'runs x\n', state: { sequence: 1 } }),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    now: () => new Date(now),
  });
  made.onChange(() => changes.push(made.consent));
  return made;
}

/** Lets time pass, timers and all. */
async function pass(ms: number, whose: People): Promise<void> {
  for (let left = ms; left > 0; left -= HOUR / 6) {
    const step = Math.min(left, HOUR / 6);
    now += step;
    await vi.advanceTimersByTimeAsync(step);
    await whose.settled();
  }
}

const asked = async (whose: People): Promise<People> => {
  whose.ask(question);
  await whose.settled();
  return whose;
};

test('a question is shown and reported once, also when it is asked again and after a restart', async () => {
  const first = await asked(people());
  first.ask(question);
  await first.settled();
  expect([changes, shown.length]).toEqual([[{ desiredId: 'order-1', state: 'Asked', at: rfc(T) }], 1]);
  const second = await asked(people());
  expect([second.consent?.state, shown.length]).toEqual(['Asked', 1]);
});

test('yes is kept, reported, and holds for this question alone', async () => {
  const one = await asked(people());
  now += 1000;
  expect(await one.request({ verb: 'approve' })).toMatchObject({
    ok: true,
    message: expect.stringContaining('Approved'),
  });
  expect(kept).toEqual({ desiredId: 'order-1', state: 'Approved', at: rfc(T + 1000) });
  one.ask({ ...question, id: 'order-2' });
  await one.settled();
  expect(one.consent).toMatchObject({ desiredId: 'order-2', state: 'Asked' });
});

test.each<[string | undefined, string]>([
  [undefined, rfc(T + 2 * HOUR)],
  ['30m', rfc(T + HOUR / 2)],
  ['71h', rfc(T + 71 * HOUR)],
  ['1000h', rfc(T + 72 * HOUR)],
])('deferral by %s is until %s', async (duration, until) => {
  const one = await asked(people());
  const answer = await one.request(duration === undefined ? { verb: 'defer' } : { verb: 'defer', duration });
  expect([answer.ok, one.consent?.until]).toEqual([true, until]);
});

test('after a deferral it is asked and shown again; before the limit it is shown once more', async () => {
  const one = await asked(people());
  await one.request({ verb: 'defer', duration: '3h' });
  await pass(2 * HOUR, one);
  expect([one.consent?.state, shown.length]).toEqual(['Deferred', 1]);
  await pass(1.2 * HOUR, one);
  expect([one.consent?.state, shown.length]).toEqual(['Asked', 2]);
  await pass(67 * HOUR, one);
  expect(shown.length).toBe(2);
  await pass(2 * HOUR, one);
  expect(shown.length).toBe(3);
});

test('nothing asked: nothing to approve or to put off; the limit has passed: nothing to put off', async () => {
  const one = people();
  expect(await one.request({ verb: 'approve' })).toEqual({ ok: false, message: 'Nothing waits for your answer.' });
  expect((await one.request({ verb: 'defer' })).ok).toBe(false);
  await asked(one);
  now = T + 73 * HOUR;
  expect((await one.request({ verb: 'defer' })).message).toContain("can't be put off any more");
});

test('answers that change something come one a second', async () => {
  const one = await asked(people());
  await vi.advanceTimersByTimeAsync(5);
  await one.request({ verb: 'defer' });
  expect(await one.request({ verb: 'approve' })).toEqual({ ok: false, message: 'Not so fast: try again in a second.' });
  await vi.advanceTimersByTimeAsync(1001);
  expect((await one.request({ verb: 'approve' })).ok).toBe(true);
});

test('no answer passes the limit of the admins, whatever is said in whatever order', async () => {
  const step = fc.oneof(
    fc.record({ verb: fc.constant('defer'), duration: fc.constantFrom('1s', '5h', '100h', '8000h') }),
    fc.constant({ verb: 'approve' }),
    fc.constant({ verb: 'wait' }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      [now, kept] = [T, undefined];
      const one = await asked(people());
      for (const next of steps) {
        if (next.verb === 'wait') now += 9 * HOUR;
        else await one.request(next as LocalRequest);
        await vi.advanceTimersByTimeAsync(1001);
        const until = one.consent?.until;
        expect(until === undefined || Date.parse(until) <= Date.parse(question.until)).toBe(true);
        expect(one.consent?.state === 'Deferred').toBe(until !== undefined);
      }
      one.close();
    }),
    { numRuns: 50 },
  );
});

test('status and rollback', async () => {
  const one = await asked(people());
  const { message, state } = await one.request({ verb: 'status' });
  expect(state).toEqual({ sequence: 1 });
  expect(message).toBe(
    'runs x\nA new system is ready and waits for your yes: floe-agent approve. Later: floe-agent defer 2h. Else it is switched at 2026-03-04 10:00 UTC without asking.',
  );
  expect(await one.request({ verb: 'rollback' })).toEqual({ ok: true, message: 'going back' });
});

test.each([
  ['{"verb":"status"}', { verb: 'status' }],
  ['{"verb":"defer","duration":"2h"}', { verb: 'defer', duration: '2h' }],
  ['{"verb":"defer","duration":"2 h"}', { fault: expect.stringContaining('duration') }],
  ['{"verb":"defer","duration":["2h"]}', { fault: expect.stringContaining('duration') }],
  ['{"verb":"apply","closure":"/nix/store/x"}', { fault: expect.stringContaining('use one of') }],
  ['null', { fault: expect.stringContaining('use one of') }],
  ['[]', { fault: expect.stringContaining('use one of') }],
  ['approve', { fault: expect.stringContaining('no JSON') }],
])('the request %s', (line, is) => {
  expect(parseRequest(line)).toEqual(is);
});

test('any line is a request or a fault', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      const parsed = parseRequest(line);
      expect('verb' in parsed || 'fault' in parsed).toBe(true);
    }),
  );
});

const done = (id: string, from: string, to: string, change: Partial<AttemptRecord> = {}): AttemptRecord => ({
  ...newAttempt(
    {
      id,
      closure: to,
      origin: 'hub',
      sequence: 1,
      go: true,
      mode: 'switch',
      confirm: 'hub',
      switchTimeoutSeconds: 1,
      confirmTimeoutSeconds: 1,
      healthChecks: [],
      substituters: [],
    },
    rfc(T),
  ),
  step: 'done',
  phase: 'Committed',
  before: { system: from, failedUnits: [], bootId: 'b', program: [] },
  ...change,
});

test.each<[string, AttemptRecord | undefined, readonly AttemptRecord[], string | undefined]>([
  ['the system before', done('2', 'a', 'b'), [done('1', 'z', 'a')], 'a'],
  ['an attempt that failed is passed over', done('3', 'b', 'c', { phase: 'RolledBack' }), [done('2', 'a', 'b')], 'a'],
  ['nothing is known of what runs', done('2', 'a', 'c'), [], undefined],
  ['no attempt', undefined, [], undefined],
  [
    'a switch is under way',
    done('2', 'a', 'b', { step: 'health', phase: 'Testing' }),
    [done('1', 'a', 'b')],
    undefined,
  ],
  ['a fetch alone is none', done('2', 'b', 'c', { step: 'await-go', phase: 'Fetched' }), [done('1', 'a', 'b')], 'a'],
])('back to: %s', (_, attempt, ended, to) => {
  const journal = { sequence: 1, ended, ...(attempt === undefined ? {} : { attempt }) };
  const earlier = earlierSystem(journal, 'b');
  expect(earlier.kind === 'closure' ? earlier.closure : undefined).toBe(to);
});

test('desktops: graphical sessions that are open, of users who may answer', async () => {
  const sessions: Record<string, string> = {
    1: 'Name=ada\nType=wayland\nState=active\n',
    2: 'Name=bob\nType=tty\nState=active\n',
    3: 'Name=cy\nType=x11\nState=closing\n',
    4: 'Name=dee\nType=x11\nState=online\n',
    5: 'Name=../x\nType=x11\nState=online\n',
  };
  const users = await desktopUsers(
    async (_, [verb, id = '']) => ({
      code: 0,
      stderr: '',
      stdout: verb === 'list-sessions' ? ' 1 1000 ada\n 2 x\n3 y\n4\n5\n;;\n' : (sessions[id] ?? ''),
    }),
    (user) => user !== 'dee',
  );
  expect(users).toEqual(['ada']);
});

test('an answer survives a restart; a file that can not be read is none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-consent-'));
  const store = consentFile(diskFiles, folder);
  expect(await store.load()).toBeUndefined();
  const answer: ConsentStatus = { desiredId: 'a', state: 'Deferred', until: rfc(T), at: rfc(T) };
  await store.save(answer);
  expect(await consentFile(diskFiles, folder).load()).toEqual(answer);
  for (const text of ['{', '{"state":"Sold"}', 'null']) {
    await writeFile(join(folder, 'consent.json'), text);
    expect(await store.load()).toBeUndefined();
  }
  await rm(folder, { recursive: true });
});

test('the socket: its mode, an answer, what is not understood, what is too long, and who is told why not', async () => {
  vi.useRealTimers();
  const folder = await mkdtemp(join(tmpdir(), 'floe-socket-'));
  const path = join(folder, 'run', 'agent.sock');
  const end = new AbortController();
  const gid = process.getgid?.() ?? 0;
  const accounts = async () => parseAccounts('', `floe-users:x:${gid}:ada\n`);
  await serveLocal({
    path,
    gid,
    handle: async ({ verb }) => ({ ok: true, message: `heard ${verb}` }),
    signal: end.signal,
  });
  expect((await stat(path)).mode & 0o777).toBe(0o660);
  expect(await askLocal(path, { verb: 'approve' }, accounts)).toEqual({ ok: true, message: 'heard approve' });
  const raw = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(path, () => socket.write(text));
      let answer = '';
      socket.on('data', (chunk) => {
        answer += String(chunk);
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(answer));
    });
  expect(await raw('{"verb":"sh"}\n')).toContain('That is not understood');
  expect(await raw('x'.repeat(5000))).toContain('one line of at most 1024');
  expect(await raw('{"verb":"status"}\n{"verb":"rollback"}\n')).toBe('{"ok":true,"message":"heard status"}\n');
  // A silent connection keeps no one else out: the oldest of them is closed.
  const silent = Array.from({ length: 40 }, () => connect(path).on('error', () => undefined));
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  expect(await askLocal(path, { verb: 'approve' }, accounts)).toEqual({ ok: true, message: 'heard approve' });
  for (const socket of silent) socket.destroy();
  end.abort();
  await rm(path, { force: true });
  await expect(askLocal(path, { verb: 'status' }, accounts)).rejects.toThrow('floe-agent does not run here');
  if (process.getuid?.() !== 0) {
    await chmod(join(folder, 'run'), 0);
    await expect(askLocal(path, { verb: 'status' }, accounts)).rejects.toThrow('only root may ask');
  }
  await rm(folder, { recursive: true, force: true });
});

test('root sees in the status that users are asked', () => {
  const attempt = { desiredId: 'a', to: 'x', phase: 'Fetched' };
  const consent: ConsentStatus = { desiredId: 'a', state: 'Deferred', until: rfc(T), at: rfc(T) };
  expect(describeWait(attempt, consent)).toBe('users       Deferred until 2026-03-01 10:00 UTC (floe-agent approve)\n');
  expect(describeWait({ ...attempt, phase: 'Committed' }, consent)).toBe('');
  expect(describeWait(attempt, { ...consent, desiredId: 'b' })).toBe('');
});
