// The words of drift; apart from the schemas, so that they can be used at run time.

/**
 * Why a machine runs or boots something else than what was kept last; readers tolerate others.
 * - `ManualSwitch`: somebody activated another closure that the machine had.
 * - `UserRollback`: the system profile went back to an older generation.
 * - `LocalRebuild`: a closure that Floe never sent.
 * - `FailedReboot`: the machine was restarted and came up with something else than it was to boot.
 * - `BootDefaultChanged`: the right closure runs, but the next boot starts another.
 */
export const DRIFT_CAUSES = [
  'ManualSwitch',
  'UserRollback',
  'LocalRebuild',
  'FailedReboot',
  'BootDefaultChanged',
] as const;
export type DriftCause = (typeof DRIFT_CAUSES)[number];

/** What is done about drift; readers tolerate others. */
export const DRIFT_STATES = ['Reported', 'Reverting', 'Fights'] as const;
export type DriftState = (typeof DRIFT_STATES)[number];
