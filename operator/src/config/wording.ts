// The words for each standing of a NixConfig: reason, message, and what that means to kstatus.

import { spokenBytes, spokenSeconds } from '../conditions/spoken.ts';
import { problemSentence } from './source.ts';
import type { Standing } from './standing.ts';

export type Words = {
  readonly ready: 'True' | 'False' | 'Unknown';
  /** `working`: it goes on by itself. `stuck`: it needs a change or a person. `idle`: there is nothing to do. */
  readonly course: 'working' | 'stuck' | 'idle';
  readonly reason: string;
  readonly message: string;
  /** The condition that says why it is at rest although nothing is built any more. */
  readonly rest?: Rest;
};

/** Conditions of a config at rest; absent where there is no such reason. */
export const RESTS = ['Suspended', 'NoMachines'] as const;
type Rest = (typeof RESTS)[number];

const MAX_MESSAGE = 2048;

/** The reason of a config whose closures have gone from the cache. */
export const CLOSURES_LOST = 'ClosuresLost';

/** Reason and message of a standing; never empty. */
export function wordsOf(standing: Standing): Words {
  const words = choose(standing);
  const { message } = words;
  return message.length <= MAX_MESSAGE ? words : { ...words, message: `${message.slice(0, MAX_MESSAGE - 1)}…` };
}

function choose(standing: Standing): Words {
  switch (standing.kind) {
    case 'invalid':
      return no('stuck', standing.problem.reason, problemSentence(standing.problem));
    case 'suspended':
      return resting(
        'Suspended',
        'suspended: nothing is looked at and nothing is built until spec.suspend is false',
        standing.built,
      );
    case 'looking':
      return no('working', 'Resolving', 'looking at the source');
    case 'unresolved': {
      const { problem, held } = standing;
      const keeps = held === undefined ? '' : `; ${held} stays`;
      const course = problem.transient ? 'working' : 'stuck';
      return no(course, problem.reason, `${problemSentence(problem)}${keeps}`);
    }
    case 'no-machines':
      return resting(
        'NoMachines',
        'no NixMachine names this config in spec.configRef, so there is nothing to build',
        true,
      );
    case 'unprepared': {
      const { problem } = standing;
      return no(problem.transient ? 'working' : 'stuck', problem.reason, problemSentence(problem));
    }
    case 'starting':
      return no('working', 'Building', 'starting a build Job');
    case 'building': {
      const { display, words, trouble } = standing;
      if (trouble !== undefined) return no('working', 'BuildWaiting', `the build of ${display} waits: ${trouble}`);
      return no('working', 'Building', `${words} (${display})`);
    }
    case 'job-failed': {
      const { reason, message, retryAt } = standing;
      if (retryAt !== undefined) return no('working', reason, `${message}; tried again at ${retryAt}`);
      return no('stuck', reason, `${message}. Tried again when the spec changes, or on the annotation floe.dev/retry`);
    }
    case 'incomplete':
      return incomplete(standing);
    case 'lost':
      return no('stuck', CLOSURES_LOST, standing.message);
    case 'ready': {
      const { seconds, bytes } = standing.summary;
      const closures = standing.closures === 1 ? '1 closure' : `${standing.closures} closures`;
      const message = `built in ${spokenSeconds(seconds)}, ${closures}, ${spokenBytes(bytes)}`;
      return { ready: 'True', course: 'idle', reason: 'Built', message };
    }
  }
}

function incomplete({ failures, total }: Extract<Standing, { kind: 'incomplete' }>): Words {
  const [first] = failures;
  const reason = failures.some(({ stage }) => stage === 'Build') ? 'BuildFailed' : 'EvaluationFailed';
  const others = failures.length - 1;
  const and = others === 0 ? '' : `; ${others} of ${total} more failed, see status.failures`;
  return no('stuck', reason, `${first?.machine ?? ''}: ${firstLine(first?.message ?? '')}${and}`);
}

function no(course: Words['course'], reason: string, message: string): Words {
  return { ready: 'False', course, reason, message };
}

/** At rest is ready, so that who waits for it does not wait for ever; `ready` false: there was nothing built before. */
function resting(rest: Rest, message: string, ready: boolean): Words {
  return { ready: ready ? 'True' : 'False', course: 'idle', reason: rest, message, rest };
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0] ?? '';
}
