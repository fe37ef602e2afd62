// The phases of an attempt; apart from the schemas, so that they can be used at run time.

/** Phases of an attempt; readers tolerate others. */
export const ATTEMPT_PHASES = [
  'Waiting',
  'Fetching',
  'Fetched',
  'Testing',
  'Confirming',
  'Committing',
  'RebootRequired',
  'Rebooting',
  'RollingBack',
  'Committed',
  'RolledBack',
  'Unconfirmed',
  'Failed',
  'Cancelled',
] as const;
export type AttemptPhase = (typeof ATTEMPT_PHASES)[number];

/** Phases after which an attempt does nothing more. */
export const FINAL_PHASES = [
  'Committed',
  'RebootRequired',
  'RolledBack',
  'Unconfirmed',
  'Failed',
  'Cancelled',
] as const;
