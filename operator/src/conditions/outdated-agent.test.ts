// An old agent that still runs after a switch is said.
import type { NixMachineStatus } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { deriveConditions } from './derive.ts';
import { attempt, desired, machine, onNew, running } from './machine.fixture.ts';

const agent = (name: string): string => `/nix/store/57vixb8fdlgvdzp2vjacq2d3jhcl6yy7-floe-agent-${name}`;
const old = { version: '0.1.0', running: agent('old'), expected: agent('new') };
const own = { version: '0.2.0', running: agent('new'), expected: agent('new') };

const at = (status: NixMachineStatus) => deriveConditions(machine(status), new Date('2026-03-01T10:00:00Z'));
const find = (status: NixMachineStatus, type: string) => at(status).find((one) => one.type === type);
const done = { ...onNew, desired: desired(), attempt: attempt('Committed') };

test.each([
  ['never connected', {}, 'Unknown', 'NotReported'],
  ['an agent before this was reported', running({ agent: { version: '0.1.0' } }), 'Unknown', 'NotReported'],
  ['not out of the store', running({ agent: { version: '0.1.0', expected: agent('new') } }), 'Unknown', 'NotReported'],
  ["the system's own", running({ ...done, agent: own }), 'False', 'Current'],
  ['an older one', running({ ...done, agent: old }), 'True', 'OldAgentRuns'],
  ['in mid-attempt', running({ desired: desired(), attempt: attempt('Testing'), agent: old }), 'False', 'InHand'],
])('%s', (_, status, is, reason) => {
  expect(find(status, 'AgentOutdated')).toMatchObject({ status: is, reason });
});

test('what to do is in the message and in the STATUS column, and the machine stays ready', () => {
  const status = running({ ...done, agent: old });
  const says = `agent 0.1.0 of ${agent('old')} still runs, its system brings ${agent('new')}: systemctl restart floe-agent on it`;
  expect(find(status, 'AgentOutdated')?.message).toBe(says);
  expect(find(status, 'Ready')).toMatchObject({ status: 'True', message: says });
});
