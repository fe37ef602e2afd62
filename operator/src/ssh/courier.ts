// Visits the machines that have no agent, from the leader: when something is to be done, and now and then to look.
import { durationSeconds } from '@floe/crds/duration';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Confirm } from '@floe/crds/protocol';
import type { Logger } from 'pino';
import { keyOfMachine } from '../conditions/identity.ts';
import { sshTargetOf } from '../conditions/ssh-target.ts';
import { specOf } from '../conditions/standing.ts';
import { answerConfirmation } from '../hub/confirmation.ts';
import { desiredMessage } from '../hub/desired-message.ts';
import type { News } from '../hub/news.ts';
import { Recently } from '../hub/recently.ts';
import type { ReadSecretData } from '../hub/secret-store.ts';
import { keyOf } from '../kube/object.ts';
import type { Delta } from '../kube/store.ts';
import { addressOf } from './address.ts';
import { RestartedError } from './remote-machine.ts';
import type { SshMetrics } from './ssh-metrics.ts';
import { visit } from './visit.ts';
import { visitFailure } from './visit-failure.ts';

interface MachineStore {
  get(key: string): NixMachine | undefined;
  list(): Iterable<NixMachine>;
  by(index: 'sshHostKey' | 'config', value: string): NixMachine[];
  subscribe(listener: (delta: Delta<NixMachine>) => void): () => void;
}

export type CourierOptions = {
  readonly machines: MachineStore;
  readonly configs: {
    get(key: string): NixConfig | undefined;
    subscribe(listener: (delta: Delta<NixConfig>) => void): () => void;
  };
  /** The hub's writer: who reports of a machine writes the same parts of its status. */
  readonly submit: (key: string, news: News) => void;
  /** Reads a machine from the API server itself. */
  readonly readMachine: (key: string) => Promise<NixMachine>;
  readonly readSecret: ReadSecretData;
  readonly tell: (machine: NixMachine, reason: string, message: string) => void;
  readonly metrics: SshMetrics;
  readonly replica: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly visit?: typeof visit;
  /** Visits at once. Default 32. */
  readonly concurrency?: number;
  readonly random?: () => number;
  readonly now?: () => Date;
};

/** What is held of one machine. */
type Entry = {
  dueAt: number;
  /** What the last visit went by: orders and how the machine is reached. */
  asked: string;
  failures: number;
  running: AbortController | undefined;
  /** Something changed while it was visited. */
  again: boolean;
};

const INTERVAL_SECONDS = 300;
const SHORTEST_SECONDS = 60;
const FIRST_RETRY_SECONDS = 5;
const EVENT_SECONDS = 600;
/** Characters of an Event and of `status.connection.fault`. */
const MESSAGE_LIMIT = 1000;
/** Between a restart and the next visit. */
const RESTART_SECONDS = 10;

export class Courier {
  readonly #options: CourierOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #told = new Recently({ seconds: EVENT_SECONDS, limit: 10_000 });
  readonly #visits = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Runs until the signal aborts, and then until no visit is under way. */
  async run(): Promise<void> {
    const { machines, configs, signal } = this.#options;
    const unsubscribe = [
      machines.subscribe(({ type, key, object }) => this.#changed(key, type === 'deleted' ? undefined : object)),
      // Where its machines fetch from stands there.
      configs.subscribe(({ key, old, object }) => {
        if (old?.status?.cache?.url === object.status?.cache?.url) return;
        for (const machine of machines.by('config', key)) this.#changed(keyOf(machine), machine);
      }),
    ];
    for (const machine of machines.list()) this.#changed(keyOf(machine), machine);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    clearTimeout(this.#timer);
    for (const stop of unsubscribe) stop();
    await Promise.all(this.#visits);
  }

  /** Machines that are visited at this moment. */
  get visiting(): number {
    return this.#visits.size;
  }

  #changed(key: string, machine: NixMachine | undefined): void {
    const entry = this.#entries.get(key);
    if (
      machine === undefined ||
      sshTargetOf(machine) === undefined ||
      machine.metadata.deletionTimestamp !== undefined
    ) {
      // What is in hand there is undone by the machine's own timer.
      entry?.running?.abort(new Error('the machine is no longer reached by SSH'));
      this.#entries.delete(key);
      return;
    }
    const asked = this.#asked(machine);
    if (entry?.asked === asked) return;
    if (entry === undefined) {
      const spread = (this.#options.random ?? Math.random)() * 5;
      this.#entries.set(key, { dueAt: seconds() + spread, asked, failures: 0, running: undefined, again: false });
    } else {
      entry.asked = asked;
      entry.again = true;
      entry.dueAt = Math.min(entry.dueAt, seconds());
    }
    this.#schedule();
  }

  #asked(machine: NixMachine): string {
    return JSON.stringify([this.#desired(machine), specOf(machine).target, keyOfMachine(machine)]);
  }

  #desired(machine: NixMachine) {
    const config = this.#options.configs.get(`${machine.metadata.namespace}/${specOf(machine).configRef?.name}`);
    return desiredMessage(machine, config, this.#now());
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const { signal, concurrency = 32 } = this.#options;
    if (signal.aborted) return;
    let next = Number.POSITIVE_INFINITY;
    for (const [key, entry] of this.#entries) {
      if (entry.running !== undefined) continue;
      if (entry.dueAt > seconds()) next = Math.min(next, entry.dueAt);
      else if (this.#visits.size < concurrency) this.#start(key, entry);
    }
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#schedule(), Math.min(60_000, Math.max(10, (next - seconds()) * 1000)));
  }

  #start(key: string, entry: Entry): void {
    const running = new AbortController();
    entry.running = running;
    entry.again = false;
    const visiting = this.#visit(key, entry, AbortSignal.any([this.#options.signal, running.signal])).finally(() => {
      entry.running = undefined;
      this.#visits.delete(visiting);
      this.#schedule();
    });
    this.#visits.add(visiting);
  }

  /** Never rejects. */
  async #visit(key: string, entry: Entry, signal: AbortSignal): Promise<void> {
    const { machines, metrics, log } = this.#options;
    try {
      const machine = machines.get(key);
      if (machine === undefined) return;
      await this.#go(key, machine, signal);
      metrics.visits.inc({ result: 'ok' });
      entry.failures = 0;
      entry.dueAt = entry.again ? seconds() : seconds() + this.#jittered(intervalOf(machine));
    } catch (error) {
      const machine = machines.get(key);
      if (signal.aborted || machine === undefined) return;
      if (error instanceof RestartedError) {
        entry.dueAt = seconds() + RESTART_SECONDS;
        return;
      }
      entry.failures += 1;
      const most = Math.max(FIRST_RETRY_SECONDS, intervalOf(machine));
      entry.dueAt = seconds() + this.#jittered(Math.min(most, FIRST_RETRY_SECONDS * 2 ** Math.min(entry.failures, 10)));
      const { result, reason } = visitFailure(error);
      const message = error instanceof Error ? error.message : String(error);
      metrics.visits.inc({ result });
      log.info(
        { machine: key, reason, err: result === 'failed' ? error : undefined },
        `not reached by SSH: ${message}`,
      );
      this.#tell(machine, reason, message);
      if (result !== 'failed') this.#offline(key, machine, { reason, message });
    }
  }

  async #go(key: string, machine: NixMachine, signal: AbortSignal): Promise<void> {
    const { submit, replica, log, metrics } = this.#options;
    const address = await addressOf(machine, this.#options, signal);
    const current = () => this.#options.machines.get(key);
    await (this.#options.visit ?? visit)({
      address,
      desired: () => {
        const now = current();
        return now === undefined ? undefined : this.#desired(now);
      },
      report: (state) => submit(key, { connection: { online: true, replica, at: this.#now() }, agent: 'none', state }),
      judge: async (attempt, closure) => {
        const confirm: Confirm = { type: 'confirm', attempt, closure };
        const answer = await answerConfirmation(key, confirm, this.#options);
        metrics.confirmations.inc({ result: 'kind' in answer ? 'unanswered' : answer.type });
        if ('kind' in answer) return { kind: 'unreachable', message: answer.message };
        return answer.type === 'confirmed' ? { kind: 'confirmed' } : { kind: 'denied', message: answer.message };
      },
      warn: (message) => {
        log.warn({ machine: key }, message);
        this.#tell(machine, 'SshVisit', message);
      },
      signal,
    });
  }

  /** Whoever called it online: nobody else reaches it. */
  #offline(key: string, machine: NixMachine, fault: { reason: string; message: string }): void {
    const replica = machine.status?.connection?.replica ?? this.#options.replica;
    const said = { ...fault, message: fault.message.slice(0, MESSAGE_LIMIT) };
    this.#options.submit(key, { connection: { online: false, replica, at: this.#now(), fault: said } });
  }

  #tell(machine: NixMachine, reason: string, message: string): void {
    if (this.#told.isNew(`${keyOf(machine)} ${reason}`, seconds()))
      this.#options.tell(machine, reason, message.slice(0, MESSAGE_LIMIT));
  }

  #jittered(length: number): number {
    return length * (0.75 + (this.#options.random ?? Math.random)() / 2);
  }

  #now(): Date {
    return this.#options.now?.() ?? new Date();
  }
}

/** Monotonic. */
function seconds(): number {
  return performance.now() / 1000;
}

function intervalOf(machine: NixMachine): number {
  const asked = durationSeconds(sshTargetOf(machine)?.interval ?? '') ?? INTERVAL_SECONDS;
  return Math.max(SHORTEST_SECONDS, asked);
}
