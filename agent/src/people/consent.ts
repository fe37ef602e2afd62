// What the people at a machine may answer to a question, and what follows. Pure.
import type { ConsentStatus } from '@floe/crds/consent';
import type { MachineState } from '@floe/crds/protocol';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { Question } from '../parts.ts';

/** An answer: the consent that holds from now on, if it changed, and a sentence for who asked. */
export type Answered = { readonly consent?: ConsentStatus; readonly ok: boolean; readonly message: string };

const DEFER_SECONDS = 2 * 3600;
const NOTHING = 'Nothing waits for your answer.';

/** Of a new question nobody has said anything; one that is known keeps its answer. */
export function opened(question: Question, before: ConsentStatus | undefined, now: Date): ConsentStatus {
  return before?.desiredId === question.id ? before : { desiredId: question.id, state: 'Asked', at: rfc3339(now) };
}

/** The deferral is over: it is asked again. Undefined where there is nothing to ask. */
export function askedAgain(before: ConsentStatus | undefined, now: Date): ConsentStatus | undefined {
  if (before?.state !== 'Deferred' || before.until === undefined || Date.parse(before.until) > now.getTime()) {
    return undefined;
  }
  return { desiredId: before.desiredId, state: 'Asked', at: rfc3339(now) };
}

/** Yes. */
export function approve(question: Question | undefined, before: ConsentStatus | undefined, now: Date): Answered {
  if (question === undefined) return { ok: false, message: NOTHING };
  if (before?.desiredId === question.id && before.state === 'Approved') {
    return { ok: true, message: 'It is approved already; the switch follows shortly.' };
  }
  return {
    consent: { desiredId: question.id, state: 'Approved', at: rfc3339(now) },
    ok: true,
    message: 'Approved. The switch follows shortly, when its turn in the rollout has come.',
  };
}

/** Not now. Nobody can put it off beyond the limit that the admins set. */
export function defer(question: Question | undefined, seconds: number | undefined, now: Date): Answered {
  if (question === undefined) return { ok: false, message: NOTHING };
  const limit = Date.parse(question.until);
  if (limit <= now.getTime()) {
    return { ok: false, message: `It can't be put off any more: the limit was ${local(question.until)}.` };
  }
  const wished = now.getTime() + (seconds ?? DEFER_SECONDS) * 1000;
  const until = rfc3339(Math.min(wished, limit));
  return {
    consent: { desiredId: question.id, state: 'Deferred', until, at: rfc3339(now) },
    ok: true,
    message:
      wished < limit
        ? `Put off until ${local(until)}. You are asked again then; at ${local(question.until)} it is switched without asking.`
        : `Put off until ${local(until)}, the latest that is allowed; it is switched then without asking.`,
  };
}

/** What waits, for people. */
export function describe(question: Question | undefined, consent: ConsentStatus | undefined): string {
  if (question === undefined) return NOTHING;
  const own = consent?.desiredId === question.id ? consent : undefined;
  if (own?.state === 'Approved') return 'A new system is approved; the switch follows shortly.';
  const end = `it is switched at ${local(question.until)} without asking`;
  if (own?.state === 'Deferred' && own.until !== undefined) {
    return `A new system is ready, put off until ${local(own.until)}; ${end}. Now after all: floe-agent approve`;
  }
  return `A new system is ready and waits for your yes: floe-agent approve. Later: floe-agent defer 2h. Else ${end}.`;
}

/** For `floe-agent status` of root, who reads files: whether the attempt waits for users. Empty where it does not. */
export function describeWait(attempt: MachineState['attempt'], consent: ConsentStatus | undefined): string {
  if (attempt?.phase !== 'Fetched' || consent?.desiredId !== attempt.desiredId) return '';
  const until = consent.until === undefined ? '' : ` until ${local(consent.until)}`;
  return `users       ${consent.state}${until} (floe-agent approve)\n`;
}

/** `2026-03-01 08:00 UTC`: the machine's zone is not that of who reads it over SSH. */
export function local(text: string): string {
  return `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`;
}
