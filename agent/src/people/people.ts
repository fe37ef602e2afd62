// The people at the machine: asks them, keeps what they answered, and carries out the few things they may order.
import type { ConsentStatus } from '@floe/crds/consent';
import type { Log } from '../log.ts';
import type { PeoplePart, Question } from '../parts.ts';
import { type Answered, approve, askedAgain, defer, describe, local, opened } from './consent.ts';
import { deferSeconds, type LocalAnswer, type LocalRequest } from './local-protocol.ts';

export type PeopleParts = {
  /** What was answered, across restarts. */
  readonly store: {
    load(): Promise<ConsentStatus | undefined>;
    save(consent: ConsentStatus): Promise<void>;
  };
  /** Shows a text on the desktops of those who may answer; best effort. */
  readonly notify: (title: string, body: string) => Promise<void>;
  /** Goes back to the system before. */
  readonly rollback: () => Promise<LocalAnswer>;
  /** The machine's state, for people and as it is reported. */
  readonly status: () => Promise<{ readonly text: string; readonly state: unknown }>;
  readonly log: Log;
  readonly now: () => Date;
};

/** Timers are looked at again so often: a machine sleeps, and its clock may be set. */
const LONGEST_WAIT_MS = 10 * 60_000;
/** People are reminded so long before the limit, or halfway where there is less time. */
const REMIND_MS = 3_600_000;
/** Answers that change something, apart from the first: at most one in so many milliseconds. */
const GAP_MS = 1_000;

const TITLE = 'A new system is ready';

export class People implements PeoplePart {
  readonly #parts: PeopleParts;
  #question: Question | undefined;
  #consent: ConsentStatus | undefined;
  #changed: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #remindAt: number | undefined;
  #answeredAt = 0;
  #queue: Promise<void>;

  constructor(parts: PeopleParts) {
    this.#parts = parts;
    this.#queue = parts.store.load().then(
      (consent) => {
        this.#consent = consent;
      },
      (error: unknown) => parts.log.warn(`what the users answered can't be read: ${error}`),
    );
  }

  get consent(): ConsentStatus | undefined {
    return this.#consent;
  }

  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  /** Resolves when all that was asked and answered so far is done. */
  settled(): Promise<void> {
    return this.#queue;
  }

  ask(question: Question | undefined): void {
    this.#queue = this.#queue
      .then(() => this.#open(question))
      .catch((error: unknown) => this.#parts.log.warn(`the users could not be asked: ${error}`));
  }

  /** Carries out what a user asks for. Never rejects. */
  request(request: LocalRequest): Promise<LocalAnswer> {
    const answer = this.#queue.then(() => this.#answer(request));
    this.#queue = answer.then(
      () => undefined,
      () => undefined,
    );
    return answer.catch((error: unknown) => {
      this.#parts.log.error(`${request.verb} of a user failed: ${error}`);
      return { ok: false, message: `That failed: ${error instanceof Error ? error.message : error}.` };
    });
  }

  /** Ends all waiting. */
  close(): void {
    clearTimeout(this.#timer);
  }

  async #open(question: Question | undefined): Promise<void> {
    const before = this.#question;
    this.#question = question;
    if (question === undefined) {
      clearTimeout(this.#timer);
      return;
    }
    if (before?.id === question.id && before.until === question.until) return;
    const now = this.#parts.now();
    const left = Date.parse(question.until) - now.getTime();
    this.#remindAt = left <= 0 ? undefined : now.getTime() + (left > 2 * REMIND_MS ? left - REMIND_MS : left / 2);
    const isNew = this.#consent?.desiredId !== question.id;
    await this.#set(opened(question, this.#consent, now));
    if (isNew) this.#show();
    this.#wait();
  }

  async #answer(request: LocalRequest): Promise<LocalAnswer> {
    const { now, rollback, status } = this.#parts;
    switch (request.verb) {
      case 'status': {
        const { text, state } = await status();
        return { ok: true, message: `${text}${describe(this.#question, this.#consent)}`, state };
      }
      case 'approve':
        return this.#take(approve(this.#question, this.#consent, now()));
      case 'defer': {
        const seconds = request.duration === undefined ? undefined : deferSeconds(request.duration);
        return this.#take(defer(this.#question, seconds, now()));
      }
      case 'rollback':
        return rollback();
    }
  }

  async #take({ consent, ok, message }: Answered): Promise<LocalAnswer> {
    if (consent === undefined) return { ok, message };
    const at = performance.now();
    if (this.#answeredAt !== 0 && at - this.#answeredAt < GAP_MS) {
      return { ok: false, message: 'Not so fast: try again in a second.' };
    }
    this.#answeredAt = at;
    await this.#set(consent);
    this.#parts.log.info(
      `a user answered: ${consent.state}${consent.until === undefined ? '' : ` until ${consent.until}`}`,
    );
    this.#wait();
    return { ok, message };
  }

  async #set(consent: ConsentStatus): Promise<void> {
    if (JSON.stringify(consent) === JSON.stringify(this.#consent)) return;
    await this.#parts.store.save(consent);
    this.#consent = consent;
    this.#changed();
  }

  #show(): void {
    const end = this.#question === undefined ? '' : ` It is switched at ${local(this.#question.until)} by itself.`;
    // Not waited for: a desktop that hangs keeps nobody from answering.
    this.#parts.notify(TITLE, `Now: floe-agent approve. Later: floe-agent defer 2h.${end}`).catch(() => undefined);
  }

  /** Waits for the end of a deferral, and for the moment to remind. */
  #wait(): void {
    clearTimeout(this.#timer);
    const ends = this.#consent?.state === 'Deferred' ? this.#consent.until : undefined;
    const moments = [this.#remindAt, ends === undefined ? undefined : Date.parse(ends)].filter(
      (one) => one !== undefined,
    );
    if (this.#question === undefined || this.#consent?.state === 'Approved' || moments.length === 0) return;
    const ms = Math.min(...moments) - this.#parts.now().getTime();
    this.#timer = setTimeout(() => this.#due(), Math.min(LONGEST_WAIT_MS, Math.max(100, ms)));
    this.#timer.unref();
  }

  #due(): void {
    this.#queue = this.#queue
      .then(async () => {
        const now = this.#parts.now();
        const again = askedAgain(this.#consent, now);
        const remind = this.#remindAt !== undefined && this.#remindAt <= now.getTime();
        if (again !== undefined) await this.#set(again);
        if (remind) this.#remindAt = undefined;
        if (again !== undefined || (remind && this.#consent?.state !== 'Deferred')) this.#show();
        this.#wait();
      })
      .catch((error: unknown) => this.#parts.log.warn(`the users could not be asked again: ${error}`));
  }
}
