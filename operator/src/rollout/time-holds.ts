// Why machines wait for a time: holds for windows and freezes, in words that name the moment.
import { wallTime } from '@floe/crds/time-zone';
import type { WindowAction } from '@floe/crds/window-action';
import type { Facts } from './facts.ts';
import { hurryOf, type Run } from './run.ts';
import { clockTime } from './time.ts';
import { hasZone, type May, type Times, zoneOf } from './times.ts';

type Reason = { readonly reason: 'OutsideWindow' | 'Frozen'; readonly message: string };

/** Times at a moment, for a run. */
export type Moment = { readonly times: Times; readonly now: number; readonly hurry: number | undefined };

/** The moment of a plan. */
export function momentOf(
  { state }: { readonly state: { readonly run: Run } },
  { times, now }: Pick<Moment, 'times' | 'now'>,
): Moment {
  return { times, now, hurry: hurryOf(state.run) };
}

/** For which of the two machines fetch before they get their go: where it has windows, and where the switch has some. */
export function fetchesApart({ times, now, hurry }: Moment): { readonly download: boolean; readonly switch: boolean } {
  if (hurry !== undefined && now >= hurry) return { download: false, switch: false };
  return { download: times.names('Download'), switch: times.names('Switch') };
}

/** The hold of everyone while a freeze is in force. */
export function frozenHold({ times, now, hurry }: Moment): Reason | undefined {
  if (hurry !== undefined && now >= hurry) return undefined;
  const freeze = times.freeze(now);
  if (!freeze.frozen) return undefined;
  return { reason: 'Frozen', message: `frozen until ${clockTime(freeze.until, now)}: ${freeze.reason}` };
}

/** The hold of a machine that must not do it now; undefined: it may. */
export function timeHold({ times, now, hurry }: Moment, facts: Facts, action: WindowAction): Reason | undefined {
  const may = times.may(facts, { action, at: now, hurry });
  if (may.may) return undefined;
  if (may.why === 'frozen') return frozenHold({ times, now, hurry });
  // A machine without windows to come says why by its own zone.
  const message = may.until === undefined ? undefined : times.words.get(may);
  const said = message ?? closedMessage(may, facts, now);
  times.words.set(may, said);
  return { reason: 'OutsideWindow', message: said };
}

/** When the machine may do it; undefined: never. */
export function opensFor({ times, now, hurry }: Moment, facts: Facts, action: WindowAction): number | undefined {
  const may = times.may(facts, { action, at: now, hurry });
  return may.may ? now : may.until;
}

function closedMessage(may: Extract<May, { why: 'closed' }>, facts: Facts, now: number): string {
  if (may.until === undefined || may.text === undefined) {
    return hasZone(facts)
      ? 'no window opens any more; change spec.windows of the Rollout'
      : `its spec.timeZone ${JSON.stringify(zoneOf(facts))} is no time zone, so no window opens; correct it`;
  }
  return `window ${JSON.stringify(may.text)} opens ${zonedTime(may.until, may.zone, now)}`;
}

/** `22:00 Europe/Berlin (2026-03-01 21:00 UTC)`; of another day than today there, with the date first. */
export function zonedTime(moment: number, zone: string, now: number): string {
  const utc = new Date(moment).toISOString();
  if (zone === 'UTC') return clockTime(moment, now);
  const wall = new Date(wallTime(zone, moment)).toISOString();
  const today = new Date(wallTime(zone, now)).toISOString().slice(0, 10);
  const day = wall.slice(0, 10) === today ? '' : `${wall.slice(0, 10)} `;
  return `${day}${wall.slice(11, 16)} ${zone} (${utc.slice(0, 10)} ${utc.slice(11, 16)} UTC)`;
}
