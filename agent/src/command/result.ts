// What a local activation came to, as `floe-agent apply` prints it.
import type { Seen } from '../attempt/outcome.ts';
import type { AttemptRecord } from '../attempt/record.ts';

export type ApplyResult = {
  readonly attempt: string;
  readonly phase: string;
  readonly exitCode: number | null;
  readonly current: string | null;
  readonly booted: string | null;
  readonly bootDefault: string | null;
  readonly rebootRequired: boolean;
  readonly rolledBack: boolean;
  readonly message: string;
};

/** The result of an attempt, with what the machine says of itself now. */
export function applyResult(record: AttemptRecord, seen: Seen, rebootReasons: readonly string[]): ApplyResult {
  return {
    attempt: record.order.id,
    phase: record.phase,
    exitCode: record.exitCode ?? null,
    current: seen.current ?? null,
    booted: seen.booted ?? null,
    bootDefault: seen.bootDefault?.closure ?? null,
    rebootRequired: record.phase === 'RebootRequired' || rebootReasons.length > 0,
    rolledBack: record.undone,
    message: record.message ?? '',
  };
}

/** The result for people. */
export function describeResult(result: ApplyResult): string {
  const reboot = result.rebootRequired ? ' A reboot is due.' : '';
  return `${result.phase}: ${result.message}${reboot}\nruns ${result.current ?? 'unknown'}, next boot starts ${result.bootDefault ?? 'unknown'}`;
}
