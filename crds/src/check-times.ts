// Checks the windows, freezes and zones of a spec: what a schema can't say about them.
import { parseCron } from './cron.ts';
import { durationSeconds } from './duration.ts';
import type { Freeze, Window } from './rollout-window.ts';
import { isTimeZone, MACHINE_ZONE } from './time-zone.ts';

export type Wrong = { readonly field: string; readonly message: string };

const LONGEST_DAYS = 366;
const NAME_A_ZONE = 'use a name of the IANA data base, "Europe/Berlin"';

/** The first thing that is wrong with the windows of a Rollout, with the remedy. */
export function checkWindows(windows: readonly Window[] | undefined): Wrong | undefined {
  for (const [index, { cron, duration, timeZone }] of (windows ?? []).entries()) {
    const field = `spec.windows[${index}]`;
    const parsed = parseCron(cron);
    if (!parsed.ok) return { field: `${field}.cron`, message: parsed.message };
    const seconds = durationSeconds(duration) ?? 0;
    if (seconds < 0.001) {
      return { field: `${field}.duration`, message: `${JSON.stringify(duration)} is no time; use 4h for instance` };
    }
    if (seconds > LONGEST_DAYS * 86_400) {
      const message = `${JSON.stringify(duration)} is longer than ${LONGEST_DAYS} days; use ${LONGEST_DAYS * 24}h at most`;
      return { field: `${field}.duration`, message };
    }
    if (timeZone !== undefined && timeZone !== MACHINE_ZONE && !isTimeZone(timeZone)) {
      return { field: `${field}.timeZone`, message: `${unknownZone(timeZone)}, or ${MACHINE_ZONE}` };
    }
  }
  return undefined;
}

/** The first thing that is wrong with the freezes of a Rollout, with the remedy. */
export function checkFreezes(freezes: readonly Freeze[] | undefined): Wrong | undefined {
  for (const [index, { from, to }] of (freezes ?? []).entries()) {
    const field = `spec.freezes[${index}]`;
    for (const [name, text] of Object.entries({ from, to })) {
      if (Number.isNaN(Date.parse(text))) {
        const message = `${JSON.stringify(text)} is no time; use RFC 3339, 2026-12-24T00:00:00Z`;
        return { field: `${field}.${name}`, message };
      }
    }
    if (Date.parse(to) <= Date.parse(from)) {
      return { field: `${field}.to`, message: `${to} is not after from, ${from}; use a later time` };
    }
  }
  return undefined;
}

/** What is wrong with the time zone of a machine, with the remedy. */
export function checkTimeZone(field: string, timeZone: string | undefined): Wrong | undefined {
  if (timeZone === undefined || isTimeZone(timeZone)) return undefined;
  return { field, message: unknownZone(timeZone) };
}

function unknownZone(name: string): string {
  return `${JSON.stringify(name)} is no time zone; ${NAME_A_ZONE}`;
}
