// Whether the agent that runs is the one of the system that runs; an older one would carry out the next order.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Condition } from '@floe/crds/object-meta';
import type { Standing } from './standing.ts';

type Draft = Pick<Condition, 'status' | 'reason' | 'message'>;

/** The sentence for the STATUS column; undefined where the agent is the system's own. */
export function outdatedAgentMessage({ status }: NixMachine): string | undefined {
  const { version, running, expected } = status?.agent ?? {};
  if (running === undefined || expected === undefined || running === expected) return undefined;
  return `agent ${version} of ${running} still runs, its system brings ${expected}: systemctl restart floe-agent on it`;
}

/** The condition AgentOutdated. In mid-attempt the old agent runs on for a while, and hands over by itself. */
export function agentOutdated(machine: NixMachine, standing: Standing): Draft {
  const { running, expected } = machine.status?.agent ?? {};
  if (running === undefined || expected === undefined) {
    return { status: 'Unknown', reason: 'NotReported', message: 'it has not said which agent its system brings' };
  }
  const message = outdatedAgentMessage(machine);
  if (message === undefined) return { status: 'False', reason: 'Current', message: 'the agent is that of its system' };
  if (standing.kind === 'working') {
    return { status: 'False', reason: 'InHand', message: 'an attempt is in hand; the new agent takes over in it' };
  }
  return { status: 'True', reason: 'OldAgentRuns', message };
}
