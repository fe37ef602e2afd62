// What kstatus must make of a planned Rollout: in progress while it runs or waits, failed once stalled, current when done.
import { expect } from 'vitest';
import { type Kstatus, kstatusOf } from '../conditions/kstatus.fixture.ts';
import type { Plan } from './plan-result.ts';

const OF_PHASE: Record<Plan['phase'], Kstatus> = {
  Idle: 'InProgress',
  Progressing: 'InProgress',
  Paused: 'InProgress',
  RollingBack: 'InProgress',
  Completed: 'Current',
  Failed: 'Failed',
};

/** Holds the status of a plan of `rollout.fixture.ts` to its phase. */
export function checkKstatus({ phase, status }: Plan): void {
  const seen = kstatusOf({ metadata: { name: 'web', generation: 1 }, status });
  expect([phase, seen]).toEqual([phase, OF_PHASE[phase]]);
}
