// Decides how an attempt begins, from what the machine is like: not at all, with a switch, or with a boot. Pure.
import { toBoot } from './forward.ts';
import type { Outcome } from './outcome.ts';
import type { AttemptRecord, Before } from './record.ts';
import { end, enter, type Moment, remark, UNCHANGED } from './transition.ts';

type Begun = Extract<Outcome, { step: 'begin' }>;

function beforeFrom({ seen, failedUnits, program, online, activeUnits }: Begun, system: string): Before {
  return {
    system,
    ...(seen.profile === undefined ? {} : { profile: seen.profile }),
    ...(seen.bootDefault?.verified === true ? { bootDefault: seen.bootDefault.closure } : {}),
    failedUnits,
    bootId: seen.bootId,
    program,
    ...(online === undefined ? {} : { online }),
    ...(activeUnits === undefined ? {} : { activeUnits }),
  };
}

/** The running system forbids the switch: a boot in its place, where the order lets it be kept. */
function inhibited(record: AttemptRecord, keys: string, boots: () => AttemptRecord): AttemptRecord {
  if (record.order.mode !== 'test') return boots();
  const message = `Mode test is refused: the running system must not be switched to it while it runs (switch-inhibitors: ${keys}). Use mode switch or boot.`;
  return end(record, 'Failed', `${message} ${UNCHANGED}`);
}

/** The attempt after a look at the machine. */
export function begin(record: AttemptRecord, outcome: Begun, at: Moment): AttemptRecord {
  const { closure, mode } = record.order;
  const { seen, inhibitors = [], target } = outcome;
  if (outcome.complaint !== undefined) return end(record, 'Failed', `${outcome.complaint} ${UNCHANGED}`);
  if (seen.current === undefined) {
    const message =
      '/run/current-system names no closure in the Nix store, so there is no way back. Activate a NixOS system by hand once.';
    return end(record, 'Failed', message);
  }
  const before = beforeFrom(outcome, seen.current);
  const known: AttemptRecord = { ...record, ...(target === undefined ? {} : { target }), before };
  const booted = seen.profile === closure && seen.bootDefault?.closure === closure;
  if (seen.current === (target ?? closure)) {
    if (mode === 'test' || booted) return end(known, 'Committed', 'It runs already.');
    return enter(known, 'arm-commit');
  }
  if (mode === 'boot') return toBoot(known, booted, at);
  if (inhibitors.length === 0) return enter(known, 'arm-switch');
  const keys = inhibitors.join(', ');
  const why = `A boot brings it rather than a switch, since the running system forbids the switch (switch-inhibitors: ${keys}).`;
  return inhibited(known, keys, () => toBoot(remark(known, why), booted, at));
}
