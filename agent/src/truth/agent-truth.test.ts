// The whole agent against a hub, on a machine that somebody else changes behind its back.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { A, B, C, desired, ScriptedHub } from '../hub/scripted-hub.fixture.ts';
import { lineLog } from '../log.ts';
import { realClock } from '../real-clock.ts';
import { SimulatedAgent } from '../simulated-agent.ts';
import { TruthKeeper } from './keeper.ts';
import { MemoryTruth } from './memory-truth.ts';

let hub: ScriptedHub;
let stop = new AbortController();
let ended: Promise<void> = Promise.resolve();

beforeEach(async () => {
  hub = await ScriptedHub.start();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await ended;
  await hub.stop();
});

function start(): SimulatedAgent {
  const log = lineLog(() => undefined, false);
  const truth = new TruthKeeper({
    store: new MemoryTruth(),
    evidence: async (closure) => ({ family: [closure], generations: [], present: undefined }),
    clock: realClock,
    log,
    settleMs: 0,
  });
  const agent = new SimulatedAgent({
    hub: hub.url,
    tls: hub.tls,
    namespace: 'shop',
    machine: 'web-01',
    closure: A,
    behaviour: () => ({ fetchMs: 1, switchMs: 1, healthMs: 1 }),
    watchSeconds: 0.05,
    truth,
  });
  ended = agent.run(stop.signal);
  return agent;
}

const committed = () => hub.until('the order is kept', () => hub.attempt?.phase === 'Committed');
const last = () => hub.reports.at(-1);

function switchByHand({ machine }: SimulatedAgent, closure: string): void {
  machine.current = closure;
  machine.profile = closure;
  machine.bootDefault = closure;
}

test('Report: what somebody else switched is said with its cause, and left alone until it is undone', async () => {
  hub.desired = desired();
  const agent = start();
  await committed();
  switchByHand(agent, C);
  await hub.until('drift is reported', () => last()?.drift !== undefined);
  expect(last()?.drift).toMatchObject({ cause: 'LocalRebuild', expected: B, found: C, state: 'Reported' });
  expect(agent.machine.current).toBe(C);
  switchByHand(agent, B);
  await hub.until('drift is over', () => last()?.drift === undefined && last()?.current?.closure === B);
});

test('Revert: it is put back without asking the hub, and given up after three times', async () => {
  hub.desired = desired({ drift: 'Revert' });
  const agent = start();
  await committed();
  for (let count = 0; count < 3; count++) {
    switchByHand(agent, C);
    await hub.until('it is put back', () => agent.machine.current === B && agent.machine.bootDefault === B);
    await hub.until('drift is over', () => last()?.drift === undefined && last()?.current?.closure === B);
  }
  switchByHand(agent, C);
  await hub.until('it is given up', () => last()?.drift?.state === 'Fights');
  expect(agent.machine.current).toBe(C);
  expect(hub.confirms).toHaveLength(1);
  // What is reported as the attempt is still the hub's own.
  expect(last()?.attempt).toMatchObject({ desiredId: 'order-1', phase: 'Committed' });
});

test('a newer order ends the drift', async () => {
  hub.desired = desired();
  const agent = start();
  await committed();
  switchByHand(agent, A);
  await hub.until('drift is reported', () => last()?.drift !== undefined);
  hub.tell(desired({ id: 'order-2', sequence: 2, closure: C }));
  await hub.until(
    'the newer one is kept',
    () => hub.attempt?.desiredId === 'order-2' && hub.attempt.phase === 'Committed',
  );
  await hub.until('drift is over', () => last()?.drift === undefined && last()?.current?.closure === C);
});
