// The hub itself: brings sessions, the watch and the status writer together.

import { setTimeout as pause } from 'node:timers/promises';
import { keyFingerprint } from '@floe/crds/join-token';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Confirm, Hello, HubMessage, MachineState } from '@floe/crds/protocol';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { Logger } from 'pino';
import { canonicalKey, keyOfMachine } from '../conditions/identity.ts';
import { isCoarse } from '../conditions/presence.ts';
import { sshTargetOf } from '../conditions/ssh-target.ts';
import { specOf } from '../conditions/standing.ts';
import { keyOf } from '../kube/object.ts';
import { RateLimit } from '../kube/rate-limit.ts';
import type { Delta } from '../kube/store.ts';
import {
  type Admitted,
  admit,
  forStrangers,
  type MachineDirectory,
  mayAskToJoin,
  mayJoin,
  type Refusal,
  type RefusalReason,
  stillAdmitted,
} from './admission.ts';
import { answerConfirmation } from './confirmation.ts';
import { type AgentSocket, Connection, type ConnectionOwner, type Transport } from './connection.ts';
import { desiredMessage } from './desired-message.ts';
import { isInHand, isSafe } from './drain.ts';
import type { HubMetrics } from './hub-metrics.ts';
import type { JoinGate } from './join.ts';
import type { News } from './news.ts';
import { Recently } from './recently.ts';
import { refusalSubject } from './refusal-subject.ts';
import { Roster } from './roster.ts';
import type { SecretDelivery } from './secret-delivery.ts';
import { sendAway } from './send-away.ts';
import { draining, notReady } from './session.ts';

/** Seconds within which the same refusal of the same machine is one Event. */
const EVENT_SECONDS = 600;
/** Seconds within which the same refusal of the same machine is written into its status once. */
const NOTE_SECONDS = 60;
/** Refusals that a machine's owner has to mend: these stand in its status. */
const NOTED: ReadonlySet<RefusalReason> = new Set([
  'NoIdentity',
  'WrongKey',
  'DuplicateKey',
  'WrongHost',
  'UnsupportedVersion',
]);
/** Characters of `status.connection.fault.message`. */
const FAULT_LENGTH = 1024;
/** Lines of the log about refusals at once, and each second in the long run. */
const LOGGED = { burst: 100, perSecond: 2 };
/** Questions of one machine that lead to a request, at once and each second in the long run. */
const READS = { burst: 10, perSecond: 0.2 };
/** How long a replica that ends stays for a machine after it was answered: an answer may be lost, and asked for again. */
const ASK_AGAIN_MS = 5000;
/** Between two looks whether the machines that are in the middle of something still need this replica. */
const DRAIN_LOOK_MS = 200;

export interface AgentHubOptions {
  readonly replica: string;
  readonly machines: MachineDirectory & { by(index: 'sshHostKey' | 'replica' | 'config', value: string): NixMachine[] };
  readonly configs: { get(key: string): NixConfig | undefined };
  readonly writer: { submit(key: string, news: News, onStored?: () => void): void };
  /** Reads a machine from the API server itself and brings the store forward. */
  readonly readMachine: (key: string) => Promise<NixMachine>;
  readonly join: Pick<JoinGate, 'ask'>;
  /** Whether the stores hold everything. */
  readonly isReady: () => boolean;
  readonly tell: (machine: NixMachine, reason: string, message: string) => void;
  /** Files for machines whose agents know of them. */
  readonly secrets: Pick<SecretDelivery, 'begin' | 'end' | 'want' | 'machineChanged'>;
  readonly metrics: HubMetrics;
  readonly log: Logger;
  readonly now?: () => Date;
  /** Seconds from a disconnect until the machine counts as offline. */
  readonly offlineGraceSeconds: number;
  readonly heartbeatSeconds: number;
}

export class AgentHub implements ConnectionOwner {
  readonly #options: AgentHubOptions;
  readonly #roster: Roster;
  readonly #connections = new Set<Connection>();
  readonly #told = new Recently({ seconds: EVENT_SECONDS, limit: 10_000 });
  readonly #noted = new Recently({ seconds: NOTE_SECONDS, limit: 10_000 });
  readonly #logged = new RateLimit(LOGGED);
  readonly #reads = new RateLimit(READS);
  #draining = false;
  /** Machines whose attempt was judged here while this replica ends, and when (monotonic, in ms). */
  readonly #answered = new Map<string, number>();

  constructor(options: AgentHubOptions) {
    this.#options = options;
    this.#roster = new Roster({ graceSeconds: options.offlineGraceSeconds });
  }

  /** Open connections, also those that have not said hello yet. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Open connections by the way that they came. */
  connectionsBy(transport: Transport): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.transport === transport) count += 1;
    return count;
  }

  /** Takes a new connection; the caller feeds it with frames and calls `left` when its socket is gone. */
  accept(socket: AgentSocket, from: { host: string; address: string; transport: Transport }): Connection {
    const connection = new Connection(socket, this, from);
    this.#connections.add(connection);
    return connection;
  }

  /** The socket of a connection is gone. */
  left(connection: Connection): void {
    connection.closed();
    this.#connections.delete(connection);
    const { peer } = connection;
    if (peer !== undefined) this.#options.secrets.end(peer.key, connection);
    if (peer === undefined || !this.#roster.leave(peer.key, connection) || this.#draining) return;
    const at = this.#now();
    this.#options.log[this.#logLevel(peer.key)]({ machine: peer.key }, 'agent disconnected');
    this.#roster.afterGrace(peer.key, () => this.#wentOffline(peer.key, at));
  }

  onHello(connection: Connection, hello: Hello): void {
    const { machines, isReady, metrics } = this.#options;
    metrics.messages.inc({ direction: 'in', type: 'hello' });
    let admission: Admitted | Refusal = draining;
    // Who asks about an attempt is answered to the end: it might find nobody else in time.
    if (!this.#draining || hello.purpose === 'confirm') {
      admission = isReady()
        ? admit(hello, { nonce: connection.nonce, host: connection.host, machines })
        : notReady('this replica has just started and does not know the machines yet');
    }
    if (admission.kind === 'refused') {
      if (hello.joinToken !== undefined && mayAskToJoin(admission)) void this.#join(connection, hello, admission);
      else this.#turnAway(connection, hello, admission);
      return;
    }
    const { key, publicKey } = admission;
    connection.peer = { key, publicKey, agent: hello.agent };
    const { replica, heartbeatSeconds } = this.#options;
    connection.handle({ kind: 'admitted', admitted: admission, hello, replica, heartbeatSeconds });
    if (hello.purpose === 'session') this.#begin(connection, key, hello);
  }

  onReport(connection: Connection, seq: number, state: MachineState): void {
    const { peer } = connection;
    if (peer === undefined) return;
    this.#options.metrics.messages.inc({ direction: 'in', type: 'report' });
    connection.lastState = state;
    this.#options.writer.submit(peer.key, { state }, () => connection.handle({ kind: 'stored', seq }));
  }

  onConfirm(connection: Connection, confirm: Confirm): void {
    this.#options.metrics.messages.inc({ direction: 'in', type: 'confirm' });
    const { peer } = connection;
    if (peer !== undefined) void this.#answer(connection, peer.key, confirm);
  }

  onWantSecrets(connection: Connection, names: readonly string[]): void {
    const { metrics, secrets } = this.#options;
    metrics.messages.inc({ direction: 'in', type: 'wantSecrets' });
    const { peer } = connection;
    if (peer !== undefined && this.#roster.get(peer.key) === connection) {
      void secrets.want(peer.key, connection, names);
    }
  }

  onRefused(connection: Connection, reason: RefusalReason): void {
    const { metrics, log } = this.#options;
    metrics.refused.inc({ reason });
    const { address, claim } = connection;
    const machine = connection.peer?.key ?? claim;
    const passes = reason === 'NotReady' || reason === 'Draining';
    // Strangers may vary every word of this line, so that there are not many of them.
    const level = passes || !this.#logged.take('refused', performance.now() / 1000) ? 'debug' : 'info';
    log[level]({ machine, address, reason }, 'agent refused');
  }

  onSent(message: HubMessage): void {
    this.#options.metrics.messages.inc({ direction: 'out', type: message.type });
  }

  /** A machine changed: tell its session what follows. Cheap for machines that are not connected here. */
  machineChanged({ key, old, object, type }: Delta<NixMachine>): void {
    const machine = type === 'deleted' ? undefined : object;
    this.#review(key);
    for (const publicKey of new Set([keyOfMachine(object), old && keyOfMachine(old)])) {
      // Who shares the key of this machine is no longer let in either.
      if (publicKey !== undefined) this.#reviewHolders(publicKey, key);
    }
    const session = this.#roster.get(key);
    if (session === undefined || machine === undefined) return;
    this.#reclaim(session, key, machine);
    this.#order(session, machine);
    this.#options.secrets.machineChanged(key, machine);
  }

  /** A config changed; only where its machines fetch from matters here. */
  configChanged({ key, old, object }: Delta<NixConfig>): void {
    if (old?.status?.cache?.url === object.status?.cache?.url) return;
    for (const machine of this.#options.machines.by('config', key)) {
      const machineKey = `${machine.metadata.namespace}/${machine.metadata.name}`;
      const session = this.#roster.get(machineKey);
      if (session !== undefined) this.#order(session, machine);
    }
  }

  /** Finds machines whose status says that they are connected here while they are not: this replica was restarted. */
  sweep(): void {
    if (this.#draining || !this.#options.isReady()) return;
    for (const machine of this.#options.machines.by('replica', this.#options.replica)) {
      const key = `${machine.metadata.namespace}/${machine.metadata.name}`;
      if (this.#roster.get(key) !== undefined || this.#roster.isLeaving(key)) continue;
      // Who reaches it by SSH speaks for it.
      if (sshTargetOf(machine) !== undefined) continue;
      const at = this.#now();
      this.#roster.afterGrace(key, () => this.#wentOffline(key, at));
    }
  }

  /**
   * Gives no go any more, sends the sessions to other replicas one by one, and then stays for those who are in the
   * middle of an attempt, so that they can confirm it here while nobody else has them. Bounded by `seconds`.
   */
  async drain(seconds: number): Promise<void> {
    this.#draining = true;
    this.#roster.clear();
    const { machines, replica, log } = this.#options;
    const signal = AbortSignal.timeout(seconds * 1000);
    const sleep = (ms: number) => pause(ms, undefined, { signal }).catch(() => undefined);
    const busy = [...this.#connections].flatMap(({ peer }) => {
      const machine = peer && machines.get(peer.key);
      return machine !== undefined && isInHand(machine, this.#now()) ? [peer?.key ?? ''] : [];
    });
    await sendAway(this.#connections, { seconds, sleep });
    const isAnswered = (key: string) => performance.now() - (this.#answered.get(key) ?? Infinity) > ASK_AGAIN_MS;
    const waitsFor = () =>
      busy.filter((key) => !isAnswered(key) && !isSafe(machines.get(key), { replica, now: this.#now() }));
    if (busy.length > 0) log.info({ machines: busy.length }, 'ending; machines in mid-attempt may still confirm');
    while (!signal.aborted && (waitsFor().length > 0 || this.#isAsked())) await sleep(DRAIN_LOOK_MS);
    for (const connection of [...this.#connections]) connection.handle({ kind: 'draining' });
  }

  /** Whether someone confirms at this moment. */
  #isAsked(): boolean {
    for (const connection of this.#connections) if (connection.phase === 'confirming') return true;
    return false;
  }

  /** A machine that nobody has written the key of shows a token: its key is put before a person. */
  async #join(connection: Connection, hello: Hello, refusal: Refusal): Promise<void> {
    const { joinToken = '', publicKey } = hello;
    const canonical = canonicalKey(publicKey);
    if (canonical === undefined) return;
    const machine = mayJoin(refusal) ? refusal.machine : undefined;
    const ask = { token: joinToken, key: `${hello.namespace}/${hello.machine}`, machine, publicKey: canonical };
    const answer = await this.#options.join.ask(ask);
    const { pendingKey } = answer;
    if (machine !== undefined && pendingKey !== undefined) this.#options.writer.submit(keyOf(machine), { pendingKey });
    if (machine === undefined) this.#turnAway(connection, hello, refusal, answer.refusal);
    else this.#refuse(connection, answer.refusal);
  }

  /** Refuses a connection that was never let in: its object tells the true reason, and the stranger learns no more than it knew. */
  #turnAway(connection: Connection, hello: Hello, refusal: Refusal, said?: Refusal): void {
    const key = `${hello.namespace}/${hello.machine}`;
    connection.claim = key;
    const isJoining = hello.joinToken !== undefined;
    this.#note(key, refusal, connection);
    this.#refuse(connection, refusal, said ?? forStrangers(refusal, key, { isJoining }));
  }

  /** Puts the reason of a refusal into the status of a machine that is not connected, once in a while. */
  #note(key: string, { machine, reason, message }: Refusal, { address }: Connection): void {
    const { replica, writer } = this.#options;
    if (machine === undefined || !NOTED.has(reason) || sshTargetOf(machine) !== undefined) return;
    if (machine.status?.connection?.online === true || this.#roster.get(key) !== undefined) return;
    if (!this.#noted.isNew(refusalSubject(machine, { reason, message }), performance.now() / 1000)) return;
    const fault = { reason, message: `its agent (from ${address}) is not let in: ${message}`.slice(0, FAULT_LENGTH) };
    writer.submit(key, { connection: { online: false, replica, at: this.#now(), fault } });
  }

  /** What the status should say of a pending key, now that the machine is let in. */
  #pendingKeyNow(machine: NixMachine | undefined, publicKey: string): News {
    const known = machine?.status?.pendingKey;
    if (machine === undefined) return {};
    if (specOf(machine).identity !== undefined) return known === undefined ? {} : { pendingKey: 'none' };
    if (known !== undefined && canonicalKey(known.publicKey) === publicKey) return {};
    // Approved by an annotation, and the status was lost.
    const since = rfc3339(this.#now());
    return { pendingKey: { fingerprint: keyFingerprint(publicKey), publicKey: `ssh-ed25519 ${publicKey}`, since } };
  }

  #begin(connection: Connection, key: string, hello: Hello): void {
    const { machines, replica, writer, heartbeatSeconds, log } = this.#options;
    connection.begin(heartbeatSeconds);
    this.#roster.enter(key, connection)?.handle({ kind: 'replaced' });
    const at = this.#now();
    log[this.#logLevel(key)](
      {
        machine: key,
        address: connection.address,
        transport: connection.transport,
        agent: hello.agent.version,
        machineTime: hello.time,
      },
      'agent connected',
    );
    const machine = machines.get(key);
    const known = machine?.status?.connection;
    connection.claimed = known?.online === true && known.replica === replica;
    const joined = this.#pendingKeyNow(machine, connection.peer?.publicKey ?? '');
    writer.submit(key, { connection: { online: true, replica, at }, agent: hello.agent, ...joined });
    if (machine !== undefined) this.#order(connection, machine);
    if (hello.agent.features?.includes('secrets') === true) this.#options.secrets.begin(key, connection);
  }

  async #answer(connection: Connection, key: string, confirm: Confirm): Promise<void> {
    const { metrics, log } = this.#options;
    const { attempt } = confirm;
    const { machines, readMachine } = this.#options;
    const mayRead = () => this.#mayRead(key);
    const answer = await answerConfirmation(key, confirm, { machines, mayRead, readMachine });
    if ('kind' in answer) {
      metrics.confirmations.inc({ result: 'unanswered' });
      log.warn({ err: answer.cause, machine: key, attempt }, 'confirmation left open');
      this.#refuse(connection, answer);
      return;
    }
    metrics.confirmations.inc({ result: answer.type });
    log.info({ machine: key, attempt, verdict: answer.type }, 'confirmation answered');
    if (this.#draining) this.#answered.set(key, performance.now());
    connection.handle({ kind: 'verdict', verdict: answer });
  }

  /** Whether a machine may have itself read from the API server again because of its question. */
  #mayRead(key: string): boolean {
    return this.#reads.take(key, performance.now() / 1000);
  }

  #refuse(connection: Connection, refusal: Refusal, said = refusal): void {
    const { machine, reason, message } = refusal;
    if (machine !== undefined) {
      if (this.#told.isNew(refusalSubject(machine, refusal), performance.now() / 1000)) {
        this.#options.tell(machine, reason, `agent refused (from ${connection.address}): ${message}`);
      }
    }
    connection.handle({ kind: 'refused', refusal: said, reason });
  }

  /** Puts a session out whose machine was deleted, got another key, or shares it now. */
  #review(key: string): void {
    const session = this.#roster.get(key);
    if (session?.peer === undefined) return;
    const refusal = stillAdmitted(key, session.peer.publicKey, this.#options.machines);
    if (refusal !== undefined) this.#refuse(session, refusal);
  }

  #reviewHolders(publicKey: string, except: string): void {
    for (const { metadata } of this.#options.machines.by('sshHostKey', publicKey)) {
      const key = `${metadata.namespace}/${metadata.name}`;
      if (key !== except) this.#review(key);
    }
  }

  /**
   * The status says where a machine is connected, and the last who wrote it is right. So a session yields when another
   * replica has claimed the machine since, and claims anew when the status was lost or calls the machine offline.
   */
  #reclaim(session: Connection, key: string, machine: NixMachine): void {
    const { replica, writer } = this.#options;
    const connection = machine.status?.connection;
    if (connection?.online === true && connection.replica === replica) {
      session.claimed = true;
    } else if (session.claimed && connection?.online === true) {
      session.handle({ kind: 'elsewhere' });
    } else if (session.claimed && session.peer !== undefined) {
      session.claimed = false;
      const state = session.lastState;
      const online = { online: true, replica, at: this.#now() };
      writer.submit(key, { connection: online, agent: session.peer.agent, ...(state === undefined ? {} : { state }) });
    }
  }

  /** When a machine comes and goes stands in no log where its people want no such times kept. */
  #logLevel(key: string): 'debug' | 'info' {
    const machine = this.#options.machines.get(key);
    return machine !== undefined && isCoarse(machine) ? 'debug' : 'info';
  }

  #wentOffline(key: string, at: Date): void {
    if (this.#draining || this.#roster.get(key) !== undefined) return;
    const machine = this.#options.machines.get(key);
    if (machine !== undefined && sshTargetOf(machine) !== undefined) return;
    this.#options.writer.submit(key, { connection: { online: false, replica: this.#options.replica, at } });
  }

  #desired(machine: NixMachine) {
    const config = this.#options.configs.get(`${machine.metadata.namespace}/${specOf(machine).configRef?.name}`);
    return desiredMessage(machine, config, this.#now());
  }

  /** A replica that ends gives no go: whoever gets it elsewhere finds somebody to confirm it. */
  #order(session: Connection, machine: NixMachine): void {
    const message = this.#desired(machine);
    if (this.#draining && message?.go === true) return;
    session.handle({ kind: 'desired', message });
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}
