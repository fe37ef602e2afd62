// How long a machine has run its closure, and whether it stayed well meanwhile: `soak` of a step.
import { selects } from '../conditions/label-selector.ts';
import { timeMs } from '../conditions/moment.ts';
import { type Facts, finishedAt, isFinal } from './facts.ts';
import type { Run } from './run.ts';
import type { BatchStage, Stage } from './stage.ts';

/** What a step asks of machines that run the closure of the revision. */
export type SoakRules = {
  readonly run: Run;
  /** The step in progress. */
  readonly stage: Stage;
  /** All steps of the run. */
  readonly stages: readonly Stage[];
  readonly now: number;
};

/** How a machine is known to the run that is asked. */
type Known = {
  readonly closure: string;
  /** Whether it has an order of this run for the closure. */
  readonly ordered: boolean;
  readonly told: boolean;
  readonly toldInStep: boolean;
  readonly aside: boolean;
  readonly joiner: boolean;
};

/** Where a machine is in its soak; undefined: the step asks for none. */
export type Soak =
  /** `inStep`: it has soaked, for a part of it in this step. */
  | { readonly kind: 'done'; readonly inStep: boolean }
  | { readonly kind: 'soaking'; readonly until: number }
  | { readonly kind: 'failed'; readonly message: string; readonly at: number };

/**
 * When the machine began to run the closure, whoever ordered it: as the hub saw it, else the end of the attempt that brought
 * it; undefined where neither is known, so that it has soaked long since.
 */
export function runsSince(facts: Facts, closure: string, now: number): number | undefined {
  const { current, attempt, desired } = facts.machine.status ?? {};
  const since = current?.closure === closure ? timeMs(current.since) : undefined;
  if (since !== undefined) return since;
  if (desired?.closure === closure && facts.own !== undefined) return finishedAt(facts, now);
  const end = attempt?.to === closure && isFinal(attempt) ? timeMs(attempt.finishedAt) : undefined;
  return end !== undefined && end <= now ? end : undefined;
}

/** Looks at the soak of a machine that runs the closure, or will at its next boot. */
export function soakOf(rules: SoakRules, facts: Facts, known: Known): Soak | undefined {
  const { run, now } = rules;
  const remembered = rememberedBad(rules, facts, known);
  if (remembered !== undefined) return { kind: 'failed', ...remembered };
  const soakMs = soakMsOf(rules, facts, known);
  if (soakMs === 0) return undefined;
  const start = runsSince(facts, known.closure, now) ?? (known.toldInStep ? finishedAt(facts, now) : undefined);
  if (start === undefined) return { kind: 'done', inStep: false };
  const until = start + soakMs;
  const bad = badWithin(facts, until);
  // After what it would be forgiven by, also where times are cut to seconds: by that it is remembered.
  const forgiven = forgivenAt(rules, facts, known) ?? start;
  if (bad !== undefined) return { kind: 'failed', message: bad.message, at: Math.max(bad.at, start + 1, forgiven + 1) };
  if (now < until) return { kind: 'soaking', until };
  return { kind: 'done', inStep: run.step.startedAt !== undefined && until > run.step.startedAt };
}

/**
 * How long a machine soaks: what the step asks that told it; for one that ran the closure before, what the first batch asks
 * that it is of. Those of the steps before have soaked. Where machines of the run stand before its first batch, its steps were
 * changed: they start again, and so do soaks that are not over. Once the run is complete only those that it tells soak.
 */
function soakMsOf({ run, stage, stages }: SoakRules, facts: Facts, known: Known): number {
  if (known.toldInStep) return stage.kind === 'batch' ? stage.soakMs : 0;
  const isOver = known.told && !(stage.kind === 'batch' && stage.first);
  if (run.completed || known.aside || isOver) return 0;
  const own = stages.find((one) => one.kind === 'batch' && isOfBatch(one, facts, known.joiner));
  return own?.kind === 'batch' ? own.soakMs : 0;
}

/** Whether a batch may take the machine. One that came to be in the run is of the last. */
export function isOfBatch({ selector, last }: BatchStage, { machine }: Facts, joiner: boolean): boolean {
  return (last || !joiner) && selects(selector, machine.metadata.labels);
}

/** Whether the machine is bad now and turned so before its soak ended. */
function badWithin(facts: Facts, until: number): { message: string; at: number } | undefined {
  if (!facts.online && (facts.connectionSinceAtLatest ?? 0) < until) {
    return { message: 'went offline while it soaked', at: facts.connectionSince ?? until };
  }
  if (!facts.well && (facts.wellSince ?? 0) < until) {
    const units = (facts.machine.status?.failedUnits ?? []).slice(0, 3).join(', ');
    return {
      message: `${units === '' ? 'turned unhealthy' : `${units} failed`} while it soaked`,
      at: facts.wellSince ?? until,
    };
  }
  return undefined;
}

/** When its last order of this run was carried out: what was bad before is forgiven. */
function forgivenAt({ now }: SoakRules, facts: Facts, { ordered }: Known): number | undefined {
  return ordered ? finishedAt(facts, now) : undefined;
}

/** One that turned bad while it soaked has failed, also when it is well again, or the batch has ended. */
function rememberedBad(rules: SoakRules, facts: Facts, known: Known): { message: string; at: number } | undefined {
  const remembered = rules.run.failures.find(({ machine }) => machine === facts.name);
  const at = timeMs(remembered?.at);
  if (remembered === undefined || at === undefined) return undefined;
  const forgiven = forgivenAt(rules, facts, known);
  return forgiven === undefined || at > forgiven ? { message: remembered.message, at } : undefined;
}
