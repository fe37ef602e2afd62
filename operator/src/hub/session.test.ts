import type { DesiredMessage, HubMessage } from '@floe/crds/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { closure } from '../conditions/machine.fixture.ts';
import { helloFor, machineKey, machineState } from './agent.fixture.ts';
import {
  CLOSE,
  draining,
  newSession,
  type SessionAction,
  type SessionInput,
  type SessionState,
  step,
} from './session.ts';

const key = machineKey();
const hello = helloFor(key, { nonce: 'n'.repeat(44), host: 'hub' });
const report = (seq: number) => ({ type: 'report', seq, state: machineState() });
const confirm = { type: 'confirm', attempt: 'a', closure: closure('x') };
const text = (message: unknown, at = 1): SessionInput => ({ kind: 'text', text: JSON.stringify(message), at });
const admitted = (purpose: 'session' | 'confirm'): SessionInput => ({
  kind: 'admitted',
  admitted: { kind: 'admitted', key: 'shop/web-01', publicKey: key.canonical },
  hello: { purpose, version: 1 },
  replica: 'floe-0',
  heartbeatSeconds: 20,
});
const order: DesiredMessage = {
  type: 'desired',
  id: 'a',
  sequence: 1,
  revision: 'r',
  closure: closure('x'),
  go: true,
  mode: 'switch',
  switchTimeoutSeconds: 1,
  confirmTimeoutSeconds: 1,
  healthChecks: [],
  substituters: [],
};

function run(...inputs: SessionInput[]): { state: SessionState; actions: SessionAction[] } {
  let state = newSession;
  const actions: SessionAction[] = [];
  for (const input of inputs) {
    const next = step(state, input);
    state = next.state;
    actions.push(...next.actions);
  }
  return { state, actions };
}
const words = (actions: readonly SessionAction[]): string[] =>
  actions.map((action) => {
    if (action.kind === 'send')
      return action.message.type === 'refused' ? `refused ${action.message.reason}` : action.message.type;
    return action.kind === 'close' ? `close ${action.code}` : action.kind;
  });
const opened: SessionInput = { kind: 'opened', nonce: 'n'.repeat(44) };
const inSession = [opened, text(hello), admitted('session')];
const bad = ['count', 'refused BadMessage', `close ${CLOSE.policy}`];

describe('a connection', () => {
  test.each<[string, SessionInput[], string[]]>([
    ['greets', [opened], ['challenge']],
    ['lets in', inSession, ['challenge', 'admit', 'welcome']],
    [
      'takes reports and acknowledges',
      [...inSession, text(report(1)), { kind: 'stored', seq: 1 }],
      ['challenge', 'admit', 'welcome', 'report', 'ack'],
    ],
    [
      'sends an order once',
      [...inSession, { kind: 'desired', message: order }, { kind: 'desired', message: { ...order } }],
      ['challenge', 'admit', 'welcome', 'desired'],
    ],
    [
      'sends a changed order again',
      [...inSession, { kind: 'desired', message: { ...order, go: false } }, { kind: 'desired', message: order }],
      ['challenge', 'admit', 'welcome', 'desired', 'desired'],
    ],
    ['sends no order before the welcome', [opened, { kind: 'desired', message: order }], ['challenge']],
    [
      'answers a confirmation and ends',
      [
        opened,
        text(hello),
        admitted('confirm'),
        text(confirm),
        { kind: 'verdict', verdict: { type: 'confirmed', attempt: 'a' } },
      ],
      ['challenge', 'admit', 'welcome', 'confirm', 'confirmed', `close ${CLOSE.done}`],
    ],
    [
      'one question per connection',
      [opened, text(hello), admitted('confirm'), text(confirm), text(confirm)],
      ['challenge', 'admit', 'welcome', 'confirm', ...bad],
    ],
    [
      'no order on a confirm connection',
      [opened, text(hello), admitted('confirm'), { kind: 'desired', message: order }],
      ['challenge', 'admit', 'welcome'],
    ],
    ['report before hello', [opened, text(report(1))], ['challenge', ...bad]],
    ['confirm in a session', [...inSession, text(confirm)], ['challenge', 'admit', 'welcome', ...bad]],
    [
      'report on a confirm connection',
      [opened, text(hello), admitted('confirm'), text(report(1))],
      ['challenge', 'admit', 'welcome', ...bad],
    ],
    ['hello twice', [...inSession, text(hello)], ['challenge', 'admit', 'welcome', ...bad]],
    [
      'a report again',
      [...inSession, text(report(2)), text(report(2))],
      ['challenge', 'admit', 'welcome', 'report', ...bad],
    ],
    [
      'reports out of order',
      [...inSession, text(report(2)), text(report(1))],
      ['challenge', 'admit', 'welcome', 'report', ...bad],
    ],
    ['not JSON', [opened, { kind: 'text', text: '{', at: 1 }], ['challenge', ...bad]],
    ['a field is wrong', [opened, text({ ...hello, namespace: 7 })], ['challenge', ...bad]],
    ['binary', [opened, { kind: 'malformed', message: 'no text' }], ['challenge', ...bad]],
    ['no hello in time', [opened, { kind: 'timeout' }], ['challenge', `close ${CLOSE.silent}`]],
    ['replaced', [...inSession, { kind: 'replaced' }], ['challenge', 'admit', 'welcome', `close ${CLOSE.replaced}`]],
    [
      'connected elsewhere',
      [...inSession, { kind: 'elsewhere' }],
      ['challenge', 'admit', 'welcome', `close ${CLOSE.restart}`],
    ],
    [
      'replica ends before the hello',
      [opened, { kind: 'draining' }],
      ['challenge', 'count', 'refused Draining', `close ${CLOSE.restart}`],
    ],
    ['replica ends', [...inSession, { kind: 'draining' }], ['challenge', 'admit', 'welcome', `close ${CLOSE.restart}`]],
    [
      'refused',
      [opened, text(hello), { kind: 'refused', refusal: draining }],
      ['challenge', 'admit', 'count', 'refused Draining', `close ${CLOSE.restart}`],
    ],
    [
      'dead silence',
      [...inSession, ...Array.from({ length: 4 }, (): SessionInput => ({ kind: 'heartbeat' }))],
      ['challenge', 'admit', 'welcome', 'ping', 'ping', 'ping', `close ${CLOSE.silent}`],
    ],
    [
      'pongs keep it',
      [
        ...inSession,
        ...Array.from({ length: 9 }, (): SessionInput[] => [{ kind: 'heartbeat' }, { kind: 'pong' }]).flat(),
      ],
      ['challenge', 'admit', 'welcome', ...Array.from({ length: 9 }, () => 'ping')],
    ],
  ])('%s', (_name, inputs, wanted) => {
    expect(words(run(...inputs).actions)).toEqual(wanted);
  });

  test('too many messages', () => {
    const flood = Array.from({ length: 80 }, (_, index) => text(report(index + 1)));
    expect(words(run(...inSession, ...flood).actions).slice(-3)).toEqual(bad);
    const calm = Array.from({ length: 300 }, (_, index) => text(report(index + 1), index));
    expect(run(...inSession, ...calm).state.phase).toBe('session');
  });
});

const anyInput: fc.Arbitrary<SessionInput> = fc.oneof(
  fc.constantFrom<SessionInput>(
    text(hello),
    text(report(1)),
    text(report(5)),
    text(confirm),
    opened,
    admitted('session'),
    admitted('confirm'),
    { kind: 'malformed', message: 'no text' },
    { kind: 'pong' },
    { kind: 'heartbeat' },
    { kind: 'timeout' },
    { kind: 'replaced' },
    { kind: 'draining' },
    { kind: 'stored', seq: 3 },
    { kind: 'desired', message: order },
    { kind: 'desired', message: undefined },
    { kind: 'elsewhere' },
    { kind: 'refused', refusal: draining },
    { kind: 'verdict', verdict: { type: 'confirmed', attempt: 'a' } },
  ),
  fc.string().map((raw): SessionInput => ({ kind: 'text', text: raw, at: 1 })),
  fc.json().map((raw): SessionInput => ({ kind: 'text', text: raw, at: 1 })),
  fc.object().map((raw) => text({ ...hello, ...raw })),
  fc.object().map((raw) => text({ ...report(3), ...raw })),
);

test('whatever comes: no throw, nothing after the close, one close, no report before the welcome', () => {
  fc.assert(
    fc.property(fc.array(anyInput, { maxLength: 30 }), (inputs) => {
      const { state, actions } = run(opened, ...inputs);
      const said = words(actions);
      const closes = actions.filter((action) => action.kind === 'close').length;
      expect(closes).toBe(state.phase === 'closed' ? 1 : 0);
      if (closes === 1) expect(actions.at(-1)?.kind).toBe('close');
      const welcome = said.indexOf('welcome');
      for (const word of ['report', 'ack', 'desired', 'confirm']) {
        const first = said.indexOf(word);
        if (first >= 0) expect(welcome).toBeGreaterThanOrEqual(0);
        if (first >= 0) expect(first).toBeGreaterThan(welcome);
      }
      const sent = actions.flatMap((action): HubMessage[] => (action.kind === 'send' ? [action.message] : []));
      for (const message of sent) expect(JSON.stringify(message).length).toBeLessThan(4096);
    }),
  );
});
