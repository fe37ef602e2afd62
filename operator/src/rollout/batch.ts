// How far the batch in hand is: who was taken, who failed, whether it has ended and with what verdict.

import { timeMs } from '../conditions/moment.ts';
import type { StepMemory } from './run.ts';
import { percentTarget, type Size } from './share.ts';
import { isOfBatch } from './soak.ts';
import type { BatchStage } from './stage.ts';
import type { Member } from './standing.ts';
import { isReachable, isReached } from './threshold.ts';

export type BatchRules = {
  readonly successThreshold: number;
  readonly offline: 'Wait' | 'Skip';
  /** Whether the run goes on after a batch that missed its threshold, once that has ended. */
  readonly goesOn: boolean;
};

export type Batch = {
  /** Machines that the batch may take from, in order, those done included. */
  readonly matching: readonly Member[];
  /** Machines that were not told yet and may be, in order. */
  readonly candidates: readonly Member[];
  /** Machines that it still takes. */
  readonly room: number;
  readonly taken: number;
  readonly failed: number;
  readonly open: number;
  /** Machines that it may still take before it ends. */
  readonly more: number;
  readonly verdict: Verdict;
};

export type Verdict =
  | { readonly kind: 'open' }
  | { readonly kind: 'passed' }
  /** Nobody could be tested: it waits. */
  | { readonly kind: 'untested' }
  /** The threshold can't be reached any more; `ok` and `total` as it ended or would at best. */
  | { readonly kind: 'failed'; readonly ok: number; readonly total: number };

/** Told, and not done. */
const OPEN: readonly string[] = ['updating', 'soaking', 'again'];
/** Not told yet, but may be. */
const FREE: readonly string[] = ['pending', 'busy', 'fetching', 'fetched'];

const isOpen = ({ standing }: Member): boolean => OPEN.includes(standing.kind);
const isTold = ({ told }: Member): boolean => told;
const isFailed = ({ told, aside, standing }: Member): boolean => told && !aside && standing.kind === 'failed';
const isTested = ({ tested }: Member): boolean => tested;
const isSoaking = ({ standing }: Member): boolean => standing.kind === 'soaking';
const isUpdated = ({ standing }: Member): boolean => standing.kind === 'updated';
const isCandidate = ({ standing, told }: Member): boolean => !told && FREE.includes(standing.kind);

/** Machines that the batch takes from. Joiners and machines without a closure are outside of any share. */
function matchingOf(stage: BatchStage, members: readonly Member[]): Member[] {
  return members.filter(
    ({ facts, standing, joiner }) => standing.kind !== 'notBuilt' && isOfBatch(stage, facts, joiner),
  );
}

/**
 * The numbers that a batch is remembered by, taken as it begins. Where it is not `fresh`, the status names the step without
 * its numbers, so it came from elsewhere: what is open or failed counts as of this step then.
 */
export function beginBatch(
  stage: BatchStage,
  members: readonly Member[],
  { step, fresh }: { step: StepMemory; fresh: boolean },
): StepMemory {
  const matching = matchingOf(stage, members);
  const untouched = stage.first && !fresh;
  const newest = members.reduce((at, { facts }) => Math.max(at, timeMs(facts.desired?.since) ?? 0), 0);
  const isEarlier = (member: Member) => isTold(member) && !isOpen(member) && (fresh || !isFailed(member));
  return {
    ...step,
    // After every order of the steps before, but for clocks that are far ahead.
    startedAt:
      fresh && step.startedAt !== undefined
        ? Math.max(step.startedAt, Math.min(newest + 1, step.startedAt + 1000))
        : step.startedAt,
    size: sizeOf(stage.size, matching, (member) => {
      if (isSoaking(member)) return !member.told;
      return isUpdated(member) && !(untouched && member.told);
    }),
    toldBefore: untouched ? 0 : count(matching, isEarlier),
    failedBefore: fresh ? count(matching, isFailed) : 0,
  };
}

/** `hasIt`: who counts as having the revision as the batch begins. */
function sizeOf(
  size: Size | undefined,
  matching: readonly Member[],
  hasIt: (member: Member) => boolean,
): number | undefined {
  if (size === undefined) return undefined;
  if (size.kind === 'count') return size.count;
  return Math.max(0, percentTarget(size.percent, matching.length) - count(matching, hasIt));
}

/** Where the batch stands. */
export function batchOf(stage: BatchStage, members: readonly Member[], step: StepMemory, rules: BatchRules): Batch {
  const matching = matchingOf(stage, members);
  const candidates = matching.filter(isCandidate);
  // Two ways to count what the step took: by time, which leavers don't disturb, and by number, which clocks don't.
  const taken = Math.max(
    count(matching, isTold) - (step.toldBefore ?? 0),
    count(matching, ({ toldInStep }) => toldInStep),
  );
  const failedOfTold = Math.max(
    count(matching, isFailed) - step.failedBefore,
    count(matching, (member) => isFailed(member) && member.toldInStep),
  );
  const tested = count(matching, isTested);
  const failed = failedOfTold + count(matching, (member) => isTested(member) && member.standing.kind === 'failed');
  const open = count(matching, (member) => isOpen(member) || isAwaited(stage, member, rules));
  const room = step.size === undefined ? candidates.length : Math.max(0, step.size - taken);
  const ended = open === 0 && (room === 0 || !candidates.some((member) => blocks(stage, member, rules)));
  const more = ended ? 0 : Math.min(room, candidates.length);
  const state = { matching, candidates, room, taken, failed, open, more };
  return { ...state, verdict: verdictOf({ ...state, tested, stage, ended }, step, rules) };
}

type State = Omit<Batch, 'verdict'> & {
  /** Machines that were not told and are tested by their soak. */
  readonly tested: number;
  readonly stage: BatchStage;
  readonly ended: boolean;
};

function verdictOf(state: State, { accepted }: StepMemory, rules: BatchRules): Verdict {
  const { stage, matching, taken, tested, failed, ended, more } = state;
  const lost = Math.max(0, failed - accepted);
  const total = taken + tested + more - Math.min(accepted, failed);
  if (!rules.goesOn && !isReachable(lost, total, rules.successThreshold))
    return { kind: 'failed', ok: total - lost, total };
  if (!ended) return { kind: 'open' };
  if (stage.first && taken === 0 && !matching.some(isUpdated)) return { kind: 'untested' };
  return rules.goesOn || isReached(total - lost, total, rules.successThreshold)
    ? { kind: 'passed' }
    : { kind: 'failed', ok: total - lost, total };
}

/**
 * Whether the batch waits for a machine whose closure changed: one that it had taken, and the last batch for everyone. Others
 * have had their turn.
 */
function isAwaited(stage: BatchStage, member: Member, rules: BatchRules): boolean {
  const isToCome = member.standing.kind === 'changed' || (member.aside && FREE.includes(member.standing.kind));
  return isToCome && (member.toldInStep || stage.last) && blocks(stage, member, rules);
}

/** Whether the batch waits for a machine that it could take: the last one for everyone, others for who can move. */
function blocks(stage: BatchStage, { facts, standing }: Member, { offline }: BatchRules): boolean {
  if (!facts.online) return stage.last && offline === 'Wait';
  if (facts.hold !== undefined) return stage.last;
  if (standing.kind === 'busy' || facts.well) return true;
  // A machine that is sick already is no canary.
  return !stage.first || stage.last;
}

function count(members: readonly Member[], predicate: (member: Member) => boolean): number {
  return members.filter(predicate).length;
}
