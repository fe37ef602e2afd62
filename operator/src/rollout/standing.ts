// Where a machine stands towards the run: one classification, from which counts, batches and holds follow.
import type { WindowAction } from '@floe/crds/window-action';
import { timeMs } from '../conditions/moment.ts';
import { spokenSeconds } from '../conditions/spoken.ts';
import type { Closures } from './closures.ts';
import { type Facts, finishedAt, isFinal, isPreparing } from './facts.ts';
import { isRebootDue } from './reboot-policy.ts';
import { isBeforeRetry, mayRetryItself } from './retries.ts';
import { hurryOf } from './run.ts';
import { type SoakRules, soakOf } from './soak.ts';
import type { Times } from './times.ts';
import { attemptFailure } from './wording.ts';

export type Standing =
  | { readonly kind: 'notBuilt'; readonly message: string }
  /** It has the revision; `reboot`: at its next boot, or wholly only then. */
  | { readonly kind: 'updated'; readonly reboot: boolean }
  | { readonly kind: 'soaking'; readonly until: number }
  /** It is on its way to the closure; `until`: when its time is over. */
  | { readonly kind: 'updating'; readonly until: number | undefined }
  | { readonly kind: 'fetching' }
  | { readonly kind: 'fetched' }
  /** It is to be told again; `byItself`: for want of confirmation, else because a person asked. */
  | { readonly kind: 'again'; readonly byItself: boolean }
  /** It was told another closure of this revision: a label or its host name has changed since. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'failed'; readonly message: string; readonly at: number }
  /** It carries out another order. */
  | { readonly kind: 'busy'; readonly until: number | undefined }
  | { readonly kind: 'knownBad' }
  | { readonly kind: 'pending' };

export type Member = {
  readonly facts: Facts;
  /** Closure of the run's revision for this machine. */
  readonly closure: string | undefined;
  readonly standing: Standing;
  /** Whether this run gave it its go, or it failed to fetch the closure. */
  readonly told: boolean;
  /** Whether it was told since the step began, as one of its machines. */
  readonly toldInStep: boolean;
  /**
   * Whether it was told outside of the steps, since its closure changed after its turn: what becomes of that says nothing
   * of the revision, so it counts neither for nor against a batch.
   */
  readonly aside: boolean;
  /** Whether it was not told, but runs the closure, and soaks in the step or has until lately: the step tests it, too. */
  readonly tested: boolean;
  /** Whether it came to be after the run began: then it belongs to the last batch. */
  readonly joiner: boolean;
};

export type View = SoakRules & {
  readonly rollout: string;
  readonly closures: Closures;
  readonly machineTimeoutMs: number;
  /** Windows and freezes: `machineTimeoutMs` runs only while a machine may act. */
  readonly times: Times;
};

/** Classifies a machine. */
export function memberOf(view: View, facts: Facts): Member {
  const { run } = view;
  const found = view.closures.of(run.revision, facts.name);
  const born = timeMs(facts.machine.metadata.creationTimestamp);
  const joiner = born !== undefined && run.startedAt !== undefined && born > run.startedAt;
  if (found.kind !== 'closure') {
    const message = found.kind === 'failure' ? found.message : 'its closure is not built yet';
    return {
      facts,
      closure: undefined,
      standing: { kind: 'notBuilt', message },
      told: false,
      toldInStep: false,
      aside: false,
      tested: false,
      joiner,
    };
  }
  const { closure } = found;
  const { desired, own } = facts;
  const ordered = desired?.closure === closure && isOrderOfRun(view, facts);
  const changed = !ordered && hasChanged(view, facts, closure);
  const aside = ordered && desired.reason === 'Joined' && !run.direct && !run.completed;
  // To be told to fetch binds nobody, unless it failed, or was told another closure before.
  const told = changed || aside || (ordered && (desired.go || (own !== undefined && isFinal(own))));
  const since = timeMs(desired?.since);
  const isOfStep = since !== undefined && run.step.startedAt !== undefined && since >= run.step.startedAt;
  const toldInStep = told && !aside && isOfStep;
  const order: Told = { closure, told, toldInStep, aside, joiner, ordered };
  const { standing, inStep } = standingOf(view, facts, { ...order, changed });
  const tested = !told && inStep && !isOfEarlierStep(view, standing);
  return { facts, closure, standing, told, toldInStep, aside, tested, joiner };
}

type Order = Told & { readonly changed: boolean };

/** `inStep`: it runs the closure, and the step looks at its soak, or did until that ended. */
function standingOf(view: View, facts: Facts, order: Order): { standing: Standing; inStep: boolean } {
  if (order.ordered) return { standing: toldStanding(view, facts, order), inStep: false };
  if (order.changed) return { standing: changedStanding(view, facts, order.closure), inStep: false };
  const standing = untoldStanding(view, facts, order.closure);
  const soak = standing.kind === 'updated' ? soakOf(view, facts, order) : undefined;
  if (soak === undefined) return { standing, inStep: false };
  if (soak.kind === 'done') return { standing, inStep: soak.inStep };
  const isAgain = soak.kind === 'failed' && isRetried(view, facts, true);
  return { standing: isAgain ? { kind: 'again', byItself: false } : soak, inStep: true };
}

/** Whether what failed was counted by a step before: the first counts all that it finds. */
function isOfEarlierStep({ run: { step } }: View, standing: Standing): boolean {
  return standing.kind === 'failed' && step.index > 0 && step.startedAt !== undefined && standing.at < step.startedAt;
}

/**
 * Whether this run gave the machine its go for another closure of the revision than it has now. An order to return names
 * another revision.
 */
function hasChanged(view: View, facts: Facts, closure: string): boolean {
  const { desired } = facts;
  const isOther = desired?.go === true && desired.closure !== closure;
  return isOther && desired.revision === view.run.revision && isOrderOfRun(view, facts);
}

/** What is in hand is finished first, and lost with its time; then it is told what it should run now. */
function changedStanding(view: View, facts: Facts, closure: string): Standing {
  if (facts.inHand) {
    const standing = underWay(view, facts);
    if (standing.kind !== 'failed' || !facts.online) return standing;
  } else if (facts.current === closure) {
    return { kind: 'updated', reboot: facts.machine.status?.reboot?.required === true };
  }
  const isBad = (facts.machine.status?.knownBad ?? []).includes(closure) && !isBeforeRetry(view, facts);
  return { kind: isBad ? 'knownBad' : 'changed' };
}

/** Whether `desired` was written by this run; orders without a run are told by their time. */
export function isOrderOfRun({ rollout, run }: Pick<View, 'rollout' | 'run'>, { desired }: Facts): boolean {
  if (desired === undefined || desired.reason === 'Immediate') return false;
  if (desired.rollout !== undefined && desired.rollout !== rollout) return false;
  if (desired.run !== undefined) return desired.run === run.id;
  const since = timeMs(desired.since);
  return since === undefined || run.startedAt === undefined || since >= run.startedAt;
}

/** Whether another Rollout, or a config with delivery Immediate, gave the machine its order: it has come over from there. */
export function isForeignOrder({ rollout }: Pick<View, 'rollout'>, { desired }: Facts): boolean {
  if (desired === undefined) return false;
  return desired.reason === 'Immediate' || (desired.rollout !== undefined && desired.rollout !== rollout);
}

type Told = {
  readonly closure: string;
  /** Whether the order that stands is one of this run for the closure. */
  readonly ordered: boolean;
  readonly told: boolean;
  readonly toldInStep: boolean;
  readonly aside: boolean;
  readonly joiner: boolean;
};

function toldStanding(view: View, facts: Facts, told: Told): Standing {
  const standing =
    facts.desired?.go === true ? goStanding(view, facts, told) : fetchStanding(view, facts, told.closure);
  if (standing.kind === 'failed' && isRetried(view, facts, told.toldInStep || told.aside))
    return { kind: 'again', byItself: false };
  return standing;
}

/** A retry is for the failed ones of the step in hand; once the run is complete, for all. */
function isRetried(view: View, facts: Facts, toldInStep: boolean): boolean {
  const ofStep = toldInStep || view.run.completed || view.run.step.failedBefore === 0;
  return ofStep && isBeforeRetry(view, facts);
}

function fetchStanding(view: View, facts: Facts, closure: string): Standing {
  const { own } = facts;
  // It had begun when its go was taken back.
  if (own !== undefined && !isFinal(own) && !isPreparing(own)) return underWay(view, facts);
  if (facts.current === closure) return { kind: 'updated', reboot: false };
  if (own === undefined) return { kind: 'fetching' };
  if (own.phase === 'Fetched') return { kind: 'fetched' };
  return isFinal(own)
    ? { kind: 'failed', message: attemptFailure(facts, own), at: finishedAt(facts, view.now) }
    : { kind: 'fetching' };
}

function goStanding(view: View, facts: Facts, told: Told): Standing {
  const { own } = facts;
  if (own === undefined) {
    const runsIt = facts.current === told.closure && !facts.inHand;
    return runsIt ? committed(view, facts, told) : underWay(view, facts);
  }
  if (!isFinal(own)) return underWay(view, facts);
  switch (own.phase) {
    case 'RebootRequired':
      // It restarts, or does so as soon as there is a slot.
      if (facts.inHand) return underWay(view, facts);
      return isRebootDue(facts, view.run) && mayRestart(view, facts)
        ? { kind: 'updating', until: undefined }
        : committed(view, facts, told);
    case 'Committed':
      return committed(view, facts, told);
    case 'Unconfirmed':
      return unconfirmed(view, facts);
    default:
      return { kind: 'failed', message: attemptFailure(facts, own), at: finishedAt(facts, view.now) };
  }
}

function underWay(view: View, facts: Facts): Standing {
  const restart = timeMs(facts.desired?.rebootSince);
  const go = restart ?? timeMs(facts.desired?.since) ?? view.now;
  const until = timeIsUp(view, facts, go, restart === undefined ? 'Switch' : 'Reboot');
  if (until === undefined || view.now < until) return { kind: 'updating', until };
  const state = facts.own === undefined ? 'nothing was heard of it' : `it is still ${facts.own.phase}`;
  const message = `not done ${spokenSeconds(view.machineTimeoutMs / 1000)} after its go${restart === undefined ? '' : ' to restart'}, ${facts.online ? state : 'and it is offline'}`;
  return { kind: 'failed', message, at: until };
}

/** Whether no window keeps it from restarting. */
function mayRestart({ times, run, now }: View, facts: Facts): boolean {
  return times.may(facts, { action: 'Reboot', at: now, hurry: hurryOf(run) }).may;
}

/** When a machine that got its go at `since` has had its time; undefined: its windows never leave it so much. */
function timeIsUp(
  { times, run, machineTimeoutMs }: View,
  facts: Facts,
  since: number,
  action: WindowAction = 'Switch',
): number | undefined {
  return times.after(facts, { action, hurry: hurryOf(run) }, { since, forMs: machineTimeoutMs });
}

/** Tried again by itself; one that is off meanwhile has as long as for its go. */
function unconfirmed(view: View, facts: Facts): Standing {
  const go = timeMs(facts.desired?.since) ?? view.now;
  const until = timeIsUp(view, facts, go);
  const late = !facts.online && until !== undefined && view.now >= until;
  if (!late && mayRetryItself(view, facts)) return { kind: 'again', byItself: true };
  const message = facts.own === undefined ? 'not confirmed' : attemptFailure(facts, facts.own);
  return { kind: 'failed', message, at: finishedAt(facts, view.now) };
}

function committed(view: View, facts: Facts, told: Told): Standing {
  const { closure } = told;
  const reboot = facts.own?.phase === 'RebootRequired' || facts.machine.status?.reboot?.required === true;
  const atBoot = facts.machine.status?.bootDefault?.closure === closure;
  if (facts.current !== closure && facts.own?.phase !== 'RebootRequired' && !atBoot) {
    return {
      kind: 'failed',
      message: `committed, but now runs ${facts.current ?? 'an unknown system'}`,
      at: finishedAt(facts, view.now),
    };
  }
  const updated: Standing = { kind: 'updated', reboot: reboot || facts.current !== closure };
  const soak = soakOf(view, facts, told);
  return soak === undefined || soak.kind === 'done' ? updated : soak;
}

function untoldStanding(view: View, facts: Facts, closure: string): Standing {
  const { desired, inHand } = facts;
  const { knownBad, reboot } = facts.machine.status ?? {};
  if (facts.current === closure && !inHand && !isLeftOver(view, facts, closure)) {
    return { kind: 'updated', reboot: reboot?.required === true };
  }
  if (hasItAtBoot(facts, closure)) return { kind: 'updated', reboot: true };
  const since = timeMs(desired?.since);
  const until = since === undefined ? undefined : since + view.machineTimeoutMs;
  // An order that nobody answers in time does not bind the machine for ever.
  const late = until !== undefined && view.now >= until && facts.online;
  if (inHand && !late) return { kind: desired?.closure === closure ? 'updating' : 'busy', until };
  const isBad = view.run.retry.count === 0 && (knownBad ?? []).includes(closure);
  return { kind: isBad ? 'knownBad' : 'pending' };
}

function hasItAtBoot({ machine, attempt }: Facts, closure: string): boolean {
  const { bootDefault } = machine.status ?? {};
  const isNext = bootDefault === undefined || bootDefault.closure === closure;
  return attempt?.phase === 'RebootRequired' && attempt.to === closure && isNext;
}

/** Whether another Rollout's order still stands, though the machine runs the closure of this one: it must go. */
function isLeftOver(view: View, facts: Facts, closure: string): boolean {
  const isKnownBad = (facts.machine.status?.knownBad ?? []).includes(closure);
  return isForeignOrder(view, facts) && facts.desired?.closure !== closure && !isKnownBad;
}
