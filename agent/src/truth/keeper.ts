// Keeps the truth: learns from the journal what was kept, looks for drift, and says when it is to be put back.
import type { Drift, DriftPolicy, Held } from '@floe/crds/drift';
import type { Seen } from '../attempt/outcome.ts';
import type { Clock } from '../attempt/ports.ts';
import type { Order } from '../attempt/record.ts';
import type { Journal } from '../journal/journal.ts';
import type { Log } from '../log.ts';
import { type Evidence, type Judged, judgeDrift } from './drift.ts';
import { endWithBoot, expected, heldOf, isSettled, type Kept, learn, NO_TRUTH, release, type Truth } from './truth.ts';

/** Where the truth is kept across restarts. */
export interface TruthStore {
  load(): Promise<{ readonly truth: Truth; readonly seen?: string } | undefined>;
  save(truth: Truth, seen: string | undefined): Promise<void>;
  /** Whether `floe-agent release` was called and not heard yet. */
  isReleaseAsked(): Promise<boolean>;
  /** Notes that it was heard. */
  forgetRelease(): Promise<void>;
}

/** Reads what drift is judged by, apart from what is seen anyway. */
export type Evidencer = (expected: string) => Promise<Pick<Evidence, 'family' | 'generations' | 'present'>>;

type Parts = {
  readonly store: TruthStore;
  readonly evidence: Evidencer;
  readonly clock: Clock;
  readonly log: Log;
  /** How long drift must be seen before it counts, in milliseconds; default 4 s. */
  readonly settleMs?: number;
};

/** Drift must be seen this long before it counts: a switch changes profile and system one after the other. */
const SETTLE_MS = 4_000;
const HOUR_MS = 3_600_000;
const REVERTS_PER_HOUR = 3;
const SWITCH_TIMEOUT_SECONDS = 600;

/** What is reported. */
export type Told = { readonly drift?: Drift; readonly held?: Held };

export class TruthKeeper {
  readonly #parts: Parts;
  #truth: Truth = NO_TRUTH;
  #seen: string | undefined;
  /** `#seen` as it was stored last. */
  #storedSeen: string | undefined;
  #loaded = false;
  #turn: Promise<unknown> = Promise.resolve();
  /** Drift that was not there for long enough to count. */
  #fresh: { readonly judged: string; readonly sinceMs: number } | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Whether a look soon would tell more: drift that was just seen for the first time. */
  get unsettled(): boolean {
    return this.#fresh !== undefined;
  }

  /** What the hub said last of drift; kept, since a machine without the hub puts back all the same. */
  setPolicy(policy: DriftPolicy): Promise<void> {
    return this.#inTurn(async () => {
      await this.#load();
      if (this.#truth.policy !== policy) await this.#store({ ...this.#truth, policy });
    });
  }

  /** Looks at the machine between attempts; in mid-attempt (`busy`) only what was known before is told. */
  look(journal: Journal, seen: Seen, busy: boolean): Promise<Told> {
    return this.#inTurn(async () => {
      await this.#load();
      if (!busy) {
        const learned = learn(this.#truth, journal, this.#seen);
        this.#seen = learned.seen;
        const known = endWithBoot(learned.truth, seen.bootId);
        const released = await this.#parts.store.isReleaseAsked();
        await this.#store(await this.#judge(released ? release(known) : known, seen));
        if (released) await this.#parts.store.forgetRelease();
      }
      return this.#told();
    });
  }

  /** One at a time: looks come from the attempt and from the watch. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Whether the hub's order was dealt with, though the journal may not know it any more; undefined: ask the journal. */
  isHandled(order: Pick<Order, 'id' | 'closure' | 'sequence'>): boolean | undefined {
    if (this.#truth.again === order.id) return false;
    return isSettled(this.#truth, order) ? true : undefined;
  }

  /** Whether what was activated by hand is held. */
  get holds(): boolean {
    return heldOf(this.#truth) !== undefined;
  }

  /** Whether something is to be put back. */
  get wantsRevert(): boolean {
    const { drift, policy, fights, returning, hub } = this.#truth;
    if (hub === undefined || this.holds) return false;
    return returning || (drift !== undefined && policy === 'Revert' && !fights);
  }

  /** The order that puts back what was kept last, noted as a try; undefined where nothing is to be put back, or no more. */
  revert(seen: Seen): Promise<Order | undefined> {
    return this.#inTurn(() => this.#revert(seen));
  }

  async #revert(seen: Seen): Promise<Order | undefined> {
    if (!this.wantsRevert) return undefined;
    const kept = this.#truth.returning ? this.#truth.hub : expected(this.#truth);
    if (kept === undefined) return undefined;
    const now = this.#parts.clock.now().time;
    if (this.#truth.returning) {
      await this.#store({ ...this.#truth, returning: false });
      return isBack(kept, seen) ? undefined : revertOrder(kept, now);
    }
    const recent = this.#truth.reverts.filter((time) => Date.parse(now) - Date.parse(time) < HOUR_MS);
    if (recent.length >= REVERTS_PER_HOUR) {
      this.#parts.log.error(
        `${this.#truth.drift?.cause}: ${kept.closure} was put back ${recent.length} times within an hour and changed again; it is left alone until an order or a person changes that`,
      );
      await this.#store({ ...this.#truth, reverts: recent, fights: true });
      return undefined;
    }
    await this.#store({ ...this.#truth, reverts: [...recent, now] });
    return revertOrder(kept, now);
  }

  async #judge(truth: Truth, seen: Seen): Promise<Truth> {
    const kept = expected(truth);
    const judged = kept === undefined ? undefined : await this.#evidence(truth, kept, seen);
    if (kept === undefined || judged === undefined) {
      this.#fresh = undefined;
      const { drift: _gone, ...rest } = truth;
      return { ...rest, fights: false };
    }
    const { cause, found } = judged;
    if (truth.drift?.cause === cause && truth.drift.found === found && truth.drift.expected === kept.closure) {
      this.#fresh = undefined;
      return truth;
    }
    if (!this.#isSettled(judged)) return truth;
    const { time } = this.#parts.clock.now();
    this.#parts.log.warn(`drift: ${cause}: ${found ?? 'nothing known'} in place of ${kept.closure}`);
    const since = truth.drift?.since ?? time;
    return { ...truth, drift: { cause, since, expected: kept.closure, ...(found === undefined ? {} : { found }) } };
  }

  #isSettled(judged: Judged): boolean {
    const { monotonicMs } = this.#parts.clock.now();
    const what = JSON.stringify(judged);
    if (this.#fresh?.judged !== what) this.#fresh = { judged: what, sinceMs: monotonicMs };
    const settled = monotonicMs - this.#fresh.sinceMs >= (this.#parts.settleMs ?? SETTLE_MS);
    if (settled) this.#fresh = undefined;
    return settled;
  }

  async #evidence(truth: Truth, kept: Kept, seen: Seen): Promise<Judged | undefined> {
    const evidence = await this.#parts.evidence(kept.closure);
    return judgeDrift(kept, { ...evidence, seen, sent: truth.sent });
  }

  #told(): Told {
    const { drift, policy, fights } = this.#truth;
    const held = heldOf(this.#truth);
    const reverts = policy === 'Revert' && held === undefined;
    const state = fights ? 'Fights' : reverts ? 'Reverting' : 'Reported';
    return {
      ...(drift === undefined ? {} : { drift: { ...drift, state } }),
      ...(held === undefined ? {} : { held }),
    };
  }

  async #load(): Promise<void> {
    if (this.#loaded) return;
    const stored = await this.#parts.store.load();
    this.#truth = stored?.truth ?? NO_TRUTH;
    this.#seen = stored?.seen;
    this.#loaded = true;
  }

  async #store(truth: Truth): Promise<void> {
    const { store } = this.#parts;
    const before = JSON.stringify([this.#truth, this.#storedSeen]);
    this.#truth = truth;
    if (JSON.stringify([truth, this.#seen]) === before) return;
    this.#storedSeen = this.#seen;
    await store.save(truth, this.#seen);
  }
}

function isBack(kept: Kept, seen: Seen): boolean {
  return seen.current === kept.closure && (seen.profile === kept.closure || kept.mode === 'test');
}

/** A local attempt: what it brings was checked when it came, and there may be no hub. */
function revertOrder(kept: Kept, now: string): Order {
  return {
    id: `revert-${Math.floor(Date.parse(now) / 1000)}`,
    closure: kept.closure,
    origin: 'local',
    revert: true,
    sequence: 0,
    go: true,
    mode: kept.waitsForBoot ? 'boot' : kept.mode,
    confirm: 'none',
    switchTimeoutSeconds: SWITCH_TIMEOUT_SECONDS,
    confirmTimeoutSeconds: 120,
    healthChecks: [],
    substituters: [],
  };
}
