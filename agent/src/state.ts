// Puts together what is reported of a machine: closures, the attempt, whether a reboot is due, failed units, facts.
import type { Attempt } from '@floe/crds/nix-machine';
import type { MachineState } from '@floe/crds/protocol';
import type { Seen, Specialisation } from './attempt/outcome.ts';
import { pastAttempts } from './attempt/past-attempts.ts';
import { type AttemptRecord, isDone } from './attempt/record.ts';
import { findAttempt, type Journal } from './journal/journal.ts';
import type { Told } from './truth/keeper.ts';

/** What is read from the machine for a report. */
export type Reading = {
  readonly seen: Seen;
  readonly failedUnits: readonly string[];
  readonly rebootReasons: readonly string[];
  readonly facts: Readonly<Record<string, string>>;
  /** The next boot starts something else than what runs. */
  readonly undoes?: boolean;
  /** A kernel that does not come up falls back without anyone. */
  readonly fallback?: boolean;
  readonly told?: Told;
  /** Store path of the agent that the running system starts. */
  readonly expectedAgent?: string;
};

/** The attempt that a report is about: the one that carries out the hub's order, else the last there was. */
export function reportedAttempt(journal: Journal, wanted?: { id: string; closure: string }): AttemptRecord | undefined {
  const known = [journal.attempt, ...journal.ended].filter((one) => one !== undefined);
  const asked = wanted === undefined ? undefined : findAttempt(journal, wanted);
  return asked ?? known.find((one) => one.order.origin === 'hub') ?? known[0];
}

/** The closure whose parts a reboot would bring: the one that waits for it, else what runs. */
export function closureAfterReboot(journal: Journal, seen: Seen): string | undefined {
  const { attempt } = journal;
  return attempt?.phase === 'RebootRequired' ? attempt.order.closure : seen.current;
}

/** An attempt as the protocol has it. */
export function attemptMessage(record: AttemptRecord): Attempt {
  const { order, before } = record;
  return {
    desiredId: order.id,
    to: order.closure,
    phase: record.phase,
    startedAt: record.startedAt,
    ...(order.revision === undefined ? {} : { revision: order.revision }),
    ...(before === undefined ? {} : { from: before.system }),
    ...(record.exitCode === undefined ? {} : { exitCode: record.exitCode }),
    ...(record.failedUnits === undefined
      ? {}
      : { failedUnits: record.failedUnits.slice(0, 16).map((one) => one.slice(0, 256)) }),
    ...(record.checks === undefined ? {} : { checks: [...record.checks] }),
    ...(record.message === undefined ? {} : { message: record.message.slice(0, 2048) }),
    ...(record.finishedAt === undefined ? {} : { finishedAt: record.finishedAt }),
  };
}

/** Until an attempt is kept the next boot undoes it; what waits for its boot, and mode `test`, are meant to be undone by it. */
function isUnderWay({ attempt }: Journal): boolean {
  if (attempt === undefined) return false;
  return !isDone(attempt) || attempt.phase === 'RebootRequired' || attempt.order.mode === 'test';
}

/** A specialisation counts as the closure that it belongs to. */
function countedAs(system: string, is: Specialisation | undefined): NonNullable<MachineState['current']> {
  return is === undefined ? { closure: system } : { closure: is.closure, specialisation: is.name };
}

function isInHand({ attempt }: Journal): boolean {
  return attempt !== undefined && !isDone(attempt);
}

/** The machine's whole present state. */
export function machineState(
  journal: Journal,
  reading: Reading,
  wanted?: { id: string; closure: string },
): MachineState {
  const { seen } = reading;
  const attempt = reportedAttempt(journal, wanted);
  const waitsForBoot = attempt?.phase === 'RebootRequired';
  const reasons = [...reading.rebootReasons].slice(0, 8);
  return {
    sequence: journal.sequence,
    reboot: {
      required: waitsForBoot || reasons.length > 0,
      reasons,
      ...(reading.undoes === true && !isUnderWay(journal) ? { undoes: true } : {}),
      ...(reading.fallback === undefined ? {} : { fallback: reading.fallback }),
    },
    failedUnits: reading.failedUnits.slice(0, 16).map((one) => one.slice(0, 256)),
    facts: Object.fromEntries(
      Object.entries(reading.facts)
        .slice(0, 16)
        .map(([key, value]) => [key, value.slice(0, 256)]),
    ),
    ...(seen.current === undefined ? {} : { current: countedAs(seen.current, seen.currentIs) }),
    ...(seen.booted === undefined ? {} : { booted: countedAs(seen.booted, seen.bootedIs) }),
    ...(seen.bootDefault === undefined
      ? {}
      : { bootDefault: { ...seen.bootDefault, ...countedAs(seen.bootDefault.closure, seen.bootDefaultIs) } }),
    ...reading.told,
    ...(reading.expectedAgent === undefined ? {} : { expectedAgent: reading.expectedAgent.slice(0, 512) }),
    ...(isInHand(journal) ? {} : { attempts: pastAttempts(journal) }),
    ...(attempt === undefined ? {} : { attempt: attemptMessage(attempt) }),
  };
}
