// What the hub has learned of a machine, and the status that it leads to.
import { SEQUENCE_LEEWAY_SECONDS } from '@floe/crds/desired-id';
import type { NixMachine, NixMachineStatus, PendingKey } from '@floe/crds/nix-machine';
import type { Hello, MachineState } from '@floe/crds/protocol';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { rfc3339 } from '@floe/crds/rfc3339';
import { type StatusChanges, type StatusWrite, statusPatch } from '../conditions/patch.ts';
import { isFinal } from '../conditions/standing.ts';
import { revisionOf } from './revision-of.ts';

/** Closures that a machine remembers as bad. */
const KNOWN_BAD = 10;

/** What is known but not stored yet. Each part is the whole of it: a newer one replaces it. */
export type News = {
  readonly connection?: {
    readonly online: boolean;
    readonly replica: string;
    readonly at: Date;
    /** Why the operator, which goes to it by SSH, did not reach it. */
    readonly fault?: NonNullable<NixMachineStatus['connection']>['fault'];
  };
  /** The agent that runs; `none` on a machine that the operator reaches by SSH. */
  readonly agent?: Hello['agent'] | 'none';
  readonly state?: MachineState;
  /** Why the API server refuses what it reported last; gone with the next report that is stored. */
  readonly unstored?: string;
  /** The key with which it asks to join; `none` once it is known by its spec. */
  readonly pendingKey?: PendingKey | 'none';
};

/** Lays newer news over older. */
export function mergeNews(older: News | undefined, newer: News): News {
  return { ...older, ...newer };
}

/**
 * How long news may wait for more. Someone waits for the end of an attempt, for a fetch ahead of its go and for a
 * machine that is gone: `none`. A phase on the way is for people who watch: `long`. Everything else: `short`.
 */
export function patienceFor(machine: NixMachine | undefined, news: News): 'none' | 'short' | 'long' {
  if (news.connection !== undefined) return news.connection.online ? 'short' : 'none';
  const attempt = news.state?.attempt;
  const stored = machine?.status?.attempt;
  if (attempt === undefined) return 'short';
  if (stored?.desiredId === attempt.desiredId && stored.phase === attempt.phase) return 'short';
  const awaitsGo = attempt.phase === 'Fetched' && machine?.status?.desired?.go !== true;
  return isFinal(attempt.phase) || awaitsGo ? 'none' : 'long';
}

/** What a write depends on beside the machine and the news. */
export type WriteContext = {
  readonly now: Date;
  /** Name of the replica that has heard the news. */
  readonly replica: string;
  /** Revision records of the machine's config. */
  readonly records: () => readonly ControllerRevision[];
};

/**
 * The write that brings the news into the status, or undefined when it says so already. `connection.lastSeen` alone is
 * no reason to write: it moves along with other changes.
 */
export function writeOf(
  machine: NixMachine,
  heard: News,
  { now, replica, records }: WriteContext,
): StatusWrite | undefined {
  const news = isOutrun(machine, heard, replica) ? withoutReport(heard) : heard;
  const connection = withUnstored(connectionOf(machine, news), news);
  const changes: StatusChanges = {
    ...(connection === undefined ? {} : { connection }),
    ...agentOf(machine, news, now),
    ...(news.pendingKey === undefined ? {} : { pendingKey: news.pendingKey === 'none' ? undefined : news.pendingKey }),
    ...(news.state === undefined ? {} : reported(machine, news.state, { records, now })),
  };
  if (statusPatch(machine, changes, now) === undefined) return undefined;
  const last = connection ?? machine.status?.connection;
  const seen = last?.online === true ? { connection: { ...last, lastSeen: rfc3339(now) } } : {};
  return statusPatch(machine, { ...changes, ...seen }, now);
}

/**
 * Whether another replica has the machine by now. What this one heard came over a connection from before: bytes that
 * waited in a network that was cut arrive after the machine has connected anew and reported more.
 */
function isOutrun({ status }: NixMachine, { connection: claim }: News, replica: string): boolean {
  const { connection } = status ?? {};
  return claim?.online !== true && connection?.online === true && (connection.replica ?? replica) !== replica;
}

function withoutReport({ agent: _agent, state: _state, ...rest }: News): News {
  return rest;
}

/** Which agent runs is said in the hello, which one its system brings in reports. */
function agentOf({ status }: NixMachine, { agent, state }: News, now: Date): StatusChanges {
  if (agent === 'none') return { agent: undefined };
  const said = agent ?? status?.agent;
  if (said === undefined) return {};
  const { version, running } = said;
  const expected = state === undefined ? status?.agent?.expected : state.expectedAgent;
  const paths = { ...(running === undefined ? {} : { running }), ...(expected === undefined ? {} : { expected }) };
  const orders = state === undefined ? ordersOf(status?.agent) : ordersSaid(status?.desired, state, now);
  return { agent: { version, ...paths, ...orders } };
}

type Orders = Pick<NonNullable<NixMachineStatus['agent']>, 'accepted' | 'refused'>;

function ordersOf({ accepted, refused }: Orders = {}): Orders {
  return { ...(accepted === undefined ? {} : { accepted }), ...(refused === undefined ? {} : { refused }) };
}

/** What a report says of orders beyond the one that stands: only what is out of the ordinary is stored. */
function ordersSaid(desired: NixMachineStatus['desired'], { sequence, refused }: MachineState, now: Date): Orders {
  const ahead = sequence > now.getTime() / 1000 + SEQUENCE_LEEWAY_SECONDS;
  const told = refused !== undefined && refused.id === desired?.id;
  return {
    ...(sequence > (desired?.sequence ?? 0) || ahead ? { accepted: sequence } : {}),
    ...(told ? { refused: { desiredId: refused.id, message: refused.message } } : {}),
  };
}

function connectionOf(machine: NixMachine, { connection: news }: News): NixMachineStatus['connection'] {
  const old = machine.status?.connection;
  if (news === undefined) return old;
  if (news.online) {
    if (old?.online === true) return { ...old, replica: news.replica };
    return { online: true, since: rfc3339(news.at), replica: news.replica, ...comebacksOf(machine) };
  }
  const fault = news.fault === undefined ? {} : { fault: news.fault };
  if (old === undefined && news.fault !== undefined) return { online: false, since: rfc3339(news.at), ...fault };
  if (old?.online === false) return { ...old, ...fault };
  // Connected to another replica meanwhile: this one's word no longer counts.
  if (old === undefined || old.replica !== news.replica) return old;
  const { lastSeen, comebacks } = old;
  return {
    online: false,
    since: rfc3339(news.at),
    ...(lastSeen === undefined ? {} : { lastSeen }),
    ...(comebacks === undefined ? {} : { comebacks }),
    ...fault,
  };
}

/** A report that can't be stored is said at the connection that it came by. */
function withUnstored(
  connection: NixMachineStatus['connection'],
  { unstored, state }: News,
): NixMachineStatus['connection'] {
  if (connection?.online !== true) return connection;
  if (unstored !== undefined) {
    const message = `its reports are not stored, and its status is old: ${unstored}`.slice(0, 1024);
    return { ...connection, fault: { reason: 'ReportRefused', message } };
  }
  if (state === undefined || connection.fault === undefined) return connection;
  const { fault: _, ...rest } = connection;
  return rest;
}

/** A machine that comes back: counted from the end of its last attempt on, since a switch may cut the connection. */
function comebacksOf({ status }: NixMachine): Pick<NonNullable<NixMachineStatus['connection']>, 'comebacks'> {
  const { attempt, connection } = status ?? {};
  if (connection === undefined || attempt === undefined || !isFinal(attempt.phase)) return {};
  const { desiredId } = attempt;
  const before = connection.comebacks?.desiredId === desiredId ? connection.comebacks.count : 0;
  return { comebacks: { desiredId, count: before + 1 } };
}

/** The parts that the agent reports; they are its whole state, so what it does not name is removed. */
function reported(
  machine: NixMachine,
  state: MachineState,
  { records, now }: Pick<WriteContext, 'records' | 'now'>,
): StatusChanges {
  const seen = (part: MachineState['current']): NixMachineStatus['current'] => {
    if (part === undefined) return undefined;
    const ofAttempt = state.attempt?.to === part.closure ? state.attempt.revision : undefined;
    const known = machine.status?.desired?.closure === part.closure ? undefined : ofAttempt;
    const revision = known ?? revisionOf(machine, part.closure, records);
    return { ...part, ...(revision === undefined ? {} : { revision }) };
  };
  const { reasons, ...reboot } = state.reboot;
  return {
    current: currentOf(machine, seen(state.current), now),
    booted: seen(state.booted),
    bootDefault: seen(state.bootDefault),
    attempt: state.attempt,
    // Left out while one is in hand: they do not change then.
    ...(state.attempts === undefined ? {} : { attempts: state.attempts }),
    reboot: { ...reboot, ...(reasons.length === 0 ? {} : { reasons }) },
    failedUnits: state.failedUnits.length === 0 ? undefined : state.failedUnits,
    facts: Object.keys(state.facts).length === 0 ? undefined : state.facts,
    knownBad: knownBad(machine, state.attempt),
    drift: state.drift,
    held: state.held,
    consent: state.consent,
    secrets: state.secrets,
  };
}

/** What runs, and since when: the first report of a machine says nothing of that, and its own word does not count. */
function currentOf(
  { status }: NixMachine,
  current: NixMachineStatus['current'],
  now: Date,
): NixMachineStatus['current'] {
  if (current === undefined) return undefined;
  const { since: _, ...seen } = current;
  const before = status?.current;
  const isNew = before !== undefined && before.closure !== seen.closure;
  const since = isNew ? rfc3339(now) : before?.since;
  return { ...seen, ...(since === undefined ? {} : { since }) };
}

/**
 * A closure is bad from the attempt on that failed with it. An attempt that is reported again adds nothing: whoever
 * retries has cleared the closure since.
 */
function knownBad(machine: NixMachine, attempt: MachineState['attempt']): string[] | undefined {
  const before = machine.status?.knownBad;
  if (attempt === undefined || (attempt.phase !== 'RolledBack' && attempt.phase !== 'Failed')) return before;
  const stored = machine.status?.attempt;
  const again = stored?.desiredId === attempt.desiredId && stored.phase === attempt.phase;
  if (again || before?.includes(attempt.to) === true) return before;
  return [attempt.to, ...(before ?? [])].slice(0, KNOWN_BAD);
}
