// Tells whether something else than Floe changed what the machine runs or boots, and what happened. Pure.
import type { DriftCause } from '@floe/crds/drift-words';
import type { Seen } from '../attempt/outcome.ts';
import type { Kept } from './truth.ts';

/** What is read from the machine to judge it. */
export type Evidence = {
  readonly seen: Seen;
  /** What is expected, with its specialisations: all of them are the same to us. */
  readonly family: readonly string[];
  /** Generations of the system profile. */
  readonly generations: readonly { readonly number: number; readonly closure: string }[];
  /** Generation that the profile is at. */
  readonly present: number | undefined;
  /** Closures that Floe sent. */
  readonly sent: readonly string[];
};

export type Judged = { readonly cause: DriftCause; readonly found?: string };

/** What differs from what was kept last; undefined where nothing does. */
export function judgeDrift(kept: Kept, evidence: Evidence): Judged | undefined {
  const { seen, family } = evidence;
  const isOurs = (closure: string | undefined) => closure === undefined || family.includes(closure);
  const rebooted = kept.bootId !== undefined && seen.bootId !== kept.bootId;
  // A reboot ends it, as it is meant to.
  if (kept.mode === 'test') return rebooted || isOurs(seen.current) ? undefined : switched(seen.current, evidence);
  const profile = isOurs(seen.profile) ? undefined : ofProfile(kept, isOurs(seen.current), evidence);
  if (profile !== undefined) return profile;
  const waits = kept.waitsForBoot && !rebooted && seen.current === kept.from;
  if (!isOurs(seen.current) && !waits) return ofSystem(rebooted, evidence);
  // What was concluded from the profile says nothing that the profile does not.
  if (seen.bootDefault?.verified === true && !isOurs(seen.bootDefault.closure)) {
    return found('BootDefaultChanged', seen.bootDefault.closure);
  }
  return undefined;
}

function found(cause: DriftCause, closure: string | undefined): Judged {
  return closure === undefined ? { cause } : { cause, found: closure };
}

/** Something else runs, though the profile is ours. */
function ofSystem(rebooted: boolean, evidence: Evidence): Judged {
  const { current, booted } = evidence.seen;
  return rebooted && current === booted ? found('FailedReboot', current) : switched(current, evidence);
}

/** Another closure was activated, and the profile left alone. */
function switched(current: string | undefined, { sent, generations }: Evidence): Judged {
  const known = current !== undefined && (sent.includes(current) || generations.some((one) => one.closure === current));
  return found(known ? 'ManualSwitch' : 'LocalRebuild', current);
}

/** The profile names another closure. */
function ofProfile(kept: Kept, runsOurs: boolean, { seen, generations, present, sent }: Evidence): Judged {
  const ours = generations.findLast((one) => one.closure === kept.closure)?.number;
  const { profile } = seen;
  if (ours !== undefined && present !== undefined && present < ours) return found('UserRollback', profile);
  if (profile === undefined || !sent.includes(profile)) return found('LocalRebuild', profile);
  return found(runsOurs ? 'BootDefaultChanged' : 'ManualSwitch', profile);
}
