// The attempts that are over, as they are reported: briefly, the newest first. Pure.
import type { PastAttempt } from '@floe/crds/past-attempt';
import type { Journal } from '../journal/journal.ts';
import { type AttemptRecord, isDone } from './record.ts';

const REPORTED = 10;
const MESSAGE_CHARACTERS = 200;

function brief(record: AttemptRecord): PastAttempt {
  const { order, before, phases } = record;
  return {
    desiredId: order.id,
    to: order.closure,
    phase: record.phase,
    startedAt: record.startedAt,
    ...(order.origin === 'local' ? { local: true } : {}),
    ...(order.revision === undefined ? {} : { revision: order.revision }),
    ...(before === undefined ? {} : { from: before.system }),
    ...(record.exitCode === undefined ? {} : { exitCode: record.exitCode }),
    ...(record.message === undefined ? {} : { message: record.message.slice(0, MESSAGE_CHARACTERS) }),
    ...(phases === undefined ? {} : { phases: phases.map(({ phase, at }) => ({ phase, at })) }),
    ...(record.finishedAt === undefined ? {} : { finishedAt: record.finishedAt }),
  };
}

/** The last ten attempts that are over. */
export function pastAttempts({ attempt, ended }: Journal): PastAttempt[] {
  const known = attempt === undefined ? ended : [attempt, ...ended];
  return known.filter(isDone).slice(0, REPORTED).map(brief);
}
