// When machines may move: the one place that knows windows, freezes and the order to hurry.
import type { RolloutSpec } from '@floe/crds/rollout';
import { isTimeZone } from '@floe/crds/time-zone';
import type { WindowAction } from '@floe/crds/window-action';
import { type Freeze, type FreezeStretch, freezeAt, freezesOf } from './freeze.ts';
import { type Stretch, stretchAt, type Window, windowsOf } from './window.ts';

/** A machine, as far as windows care. */
export type Placed = { readonly machine: { readonly spec: { readonly timeZone?: string | undefined } } };

/** What is asked: may the machine do this at that moment (ms)? `hurry`: since when nothing of this binds the run. */
export type Asked = {
  readonly action: WindowAction;
  readonly at: number;
  readonly hurry: number | undefined;
};

export type May =
  /** It may, until then; undefined: for good. */
  | { readonly may: true; readonly until: number | undefined }
  | { readonly may: false; readonly why: 'frozen'; readonly until: number; readonly reason: string }
  /** `until`: when it may, freezes counted in; undefined: never. `text` and `zone` are those of the window that opens. */
  | {
      readonly may: false;
      readonly why: 'closed';
      readonly until: number | undefined;
      readonly text: string | undefined;
      readonly zone: string;
    };

/** What is known of one action; by zone, or under no name where the windows have zones of their own. */
type Known = {
  readonly windows: readonly Window[];
  readonly byMachine: boolean;
  readonly stretches: Map<string, Stretch[]>;
  /** Answers for one moment: that of the plan, mostly. */
  answered: { readonly at: number; readonly hurry: number | undefined; readonly answers: Map<string, May> };
};

function known(windows: readonly Window[]): Known {
  return {
    windows,
    byMachine: windows.some(({ zone }) => zone === undefined),
    stretches: new Map(),
    answered: { at: Number.NaN, hurry: undefined, answers: new Map() },
  };
}

/** Openings that are looked at for one that no freeze covers; windows that are looked at for the time of a machine. */
const LOOKS = 1000;

/**
 * The windows and freezes of a Rollout. It remembers what it found out by action and zone, so that a fleet costs as much
 * as it has zones; to be made for each plan.
 */
export class Times {
  readonly #actions: Readonly<Record<WindowAction, Known>>;
  readonly #freezes: readonly Freeze[];
  /** What is said of an answer; to say it costs more than to find it. */
  readonly words: Map<May, string> = new Map();

  /** Throws RangeError on windows that were not checked. */
  constructor(spec: Pick<RolloutSpec, 'windows' | 'freezes'>) {
    const windows = windowsOf(spec);
    const of = (action: WindowAction) => windows.filter(({ actions }) => actions.includes(action));
    this.#actions = { Download: known(of('Download')), Switch: known(of('Switch')), Reboot: known(of('Reboot')) };
    this.#freezes = freezesOf(spec);
  }

  /** Whether any window names the action: else it is free, freezes apart. */
  names(action: WindowAction): boolean {
    return this.#actions[action].windows.length > 0;
  }

  /** Whether machines are free at any time. */
  get isEmpty(): boolean {
    return this.#freezes.length === 0 && !(this.names('Download') || this.names('Switch') || this.names('Reboot'));
  }

  /** The freeze in force at a moment, or when the next begins. */
  freeze(at: number): FreezeStretch {
    return freezeAt(this.#freezes, at);
  }

  /** Whether the machine may do it, until when, else why not. */
  may(placed: Placed, asked: Asked): May {
    const action = this.#actions[asked.action];
    if (action.answered.at !== asked.at || action.answered.hurry !== asked.hurry) {
      action.answered = { at: asked.at, hurry: asked.hurry, answers: new Map() };
    }
    const zone = zoneOf(placed);
    const key = action.byMachine ? zone : '';
    const answer = action.answered.answers.get(key) ?? this.#find(zone, asked);
    action.answered.answers.set(key, answer);
    return answer;
  }

  #find(zone: string, { action, at, hurry }: Asked): May {
    if (hurry !== undefined && at >= hurry) return { may: true, until: undefined };
    const freeze = this.freeze(at);
    const stretch = this.#stretch(action, zone, at);
    if (freeze.frozen) return { may: false, why: 'frozen', until: freeze.until, reason: freeze.reason };
    if (stretch.open) return { may: true, until: earlier(stretch.until, freeze.until) };
    const { next } = stretch;
    const until = this.#opening(action, zone, stretch.until);
    return { may: false, why: 'closed', until, text: next?.text, zone: next?.zone ?? zone };
  }

  /** When it may, from an opening on: the first that no freeze covers whole. */
  #opening(action: WindowAction, zone: string, from: number | undefined): number | undefined {
    let moment = from;
    for (let look = 0; look < LOOKS && moment !== undefined; look++) {
      const freeze = this.freeze(moment);
      if (freeze.frozen) {
        moment = freeze.until;
        continue;
      }
      const stretch = this.#stretch(action, zone, moment);
      if (stretch.open) return moment;
      moment = stretch.until;
    }
    return undefined;
  }

  /** When time alone changes the answer after a moment; undefined: never. */
  changeAfter(placed: Placed, { action, at, hurry }: Asked): number | undefined {
    if (hurry !== undefined && at >= hurry) return undefined;
    return earlier(this.#stretch(action, zoneOf(placed), at).until, this.freeze(at).until);
  }

  /**
   * The moment by which the machine could have acted for `forMs` since `since`, counting only time in which it might;
   * undefined: it never comes.
   */
  after(
    placed: Placed,
    asked: Omit<Asked, 'at'>,
    { since, forMs }: { since: number; forMs: number },
  ): number | undefined {
    if (this.isEmpty) return since + forMs;
    let left = forMs;
    let moment: number | undefined = since;
    for (let look = 0; look < LOOKS && moment !== undefined; look++) {
      const now: number = moment;
      const { may } = this.#find(zoneOf(placed), { ...asked, at: now });
      const change = this.changeAfter(placed, { ...asked, at: now });
      const hurried = asked.hurry !== undefined && asked.hurry > now ? asked.hurry : undefined;
      const until = earlier(change, hurried);
      if (may) {
        if (until === undefined || until - now >= left) return now + left;
        left -= until - now;
      }
      moment = until;
    }
    return undefined;
  }

  #stretch(action: WindowAction, zone: string, at: number): Stretch {
    const { windows, byMachine, stretches } = this.#actions[action];
    if (windows.length === 0) return { open: true, from: Number.NEGATIVE_INFINITY, until: undefined };
    const key = byMachine ? zone : '';
    const own = stretches.get(key) ?? [];
    stretches.set(key, own);
    const found = own.find(({ from, until }) => from <= at && (until === undefined || at < until));
    if (found !== undefined) return found;
    const made = stretchAt(windows, zone, at);
    own.push(made);
    return made;
  }
}

/** The zone of a machine: that of its spec, else UTC. */
export function zoneOf({ machine }: Placed): string {
  return machine.spec.timeZone ?? 'UTC';
}

/** Whether the zone of a machine is one that exists. */
export function hasZone(placed: Placed): boolean {
  return isTimeZone(zoneOf(placed));
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
