// Which machine gets which files: keeps the lists of the sessions of this replica up to date, and answers who asks.
import { verbAnnotation } from '@floe/crds/constants';
import type { NixMachine } from '@floe/crds/nix-machine';
import { SECRET_MODE, SECRETS_AT_ONCE } from '@floe/crds/secret-limits';
import type { SecretMessage, SecretsMessage } from '@floe/crds/secrets';
import type { Logger } from 'pino';
import { specOf } from '../conditions/standing.ts';
import { pause } from '../kube/pause.ts';
import { type ReadSecretData, SecretStore } from './secret-store.ts';

/** What the delivery needs of a session; one that has ended takes everything and does nothing. */
export interface SecretSession {
  handle(input: { kind: 'secrets'; message: SecretsMessage } | { kind: 'secret'; message: SecretMessage }): void;
}

export interface SecretDeliveryOptions {
  readonly read: ReadSecretData;
  readonly machine: (key: string) => NixMachine | undefined;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Seconds between two looks at the same Secret. Default 30; longer where there are many. */
  readonly pollSeconds?: number;
}

/** Secrets that this replica reads per second at most in the long run, apart from those that are asked for. */
const READS_PER_SECOND = 5;
/** Contents that one session may ask for at once, and each second in the long run. */
const ASKS = { burst: 192, perSecond: 1 };
/** Between two looks at the same Secret. */
const POLL_SECONDS = 30;
/** Between two looks whether there is anything to look at. */
const IDLE_SECONDS = 5;

/** How old what is known may be: of the last look, of the last second, or read now. */
type Age = 'known' | 'recent' | 'anew';

type Held = {
  readonly session: SecretSession;
  /** Secrets that the machine names, `namespace/name`. */
  names: ReadonlySet<string>;
  /** What of the machine leads to a new look: its list, and the verb `reconcile`. */
  about: string;
  /** The verb `reconcile` as it was then. */
  verb: string | undefined;
  asks: { left: number; at: number };
};

export class SecretDelivery {
  readonly #options: SecretDeliveryOptions;
  readonly #store: SecretStore;
  readonly #held = new Map<string, Held>();
  /** Machines by the Secrets that they name. */
  readonly #users = new Map<string, Set<string>>();
  #turn: string[] = [];

  constructor(options: SecretDeliveryOptions) {
    this.#options = options;
    const { read, signal } = options;
    this.#store = new SecretStore({ read, signal, changed: (secret) => this.#sendUsers(secret) });
  }

  /** A session began whose agent knows of secrets. */
  begin(key: string, session: SecretSession): void {
    const machine = this.#options.machine(key);
    if (machine === undefined) return;
    this.#drop(key);
    const held: Held = { session, names: new Set(), about: '', verb: undefined, asks: { left: ASKS.burst, at: now() } };
    this.#held.set(key, held);
    this.#take(key, held, machine, 'known');
  }

  /** A session ended. */
  end(key: string, session: SecretSession): void {
    if (this.#held.get(key)?.session === session) this.#drop(key);
  }

  /** A machine changed; cheap for those that are not connected here. */
  machineChanged(key: string, machine: NixMachine | undefined): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    if (machine === undefined) this.#drop(key);
    else if (aboutOf(machine) !== held.about)
      this.#take(key, held, machine, verbOf(machine) === held.verb ? 'recent' : 'anew');
  }

  /** An agent asks for contents. What the spec does not name now is not sent. */
  async want(key: string, session: SecretSession, names: readonly string[]): Promise<void> {
    for (const name of names.slice(0, SECRETS_AT_ONCE)) {
      const content = await this.#content(key, session, name);
      // Read again: it may have been put out while the API server was asked.
      if (this.#held.get(key)?.session !== session) return;
      const message: SecretMessage = { type: 'secret', name };
      session.handle({
        kind: 'secret',
        message: content === undefined ? message : { ...message, content: content.toString('base64') },
      });
    }
  }

  /** Looks at the Secrets in use, one after the other, until the signal aborts. */
  async run(): Promise<void> {
    const { signal, pollSeconds = POLL_SECONDS, log } = this.#options;
    while (!signal.aborted) {
      const count = this.#users.size;
      const seconds = count === 0 ? IDLE_SECONDS : Math.max(pollSeconds, count / READS_PER_SECOND) / count;
      await pause(seconds, signal);
      const secret = signal.aborted ? undefined : this.#next();
      if (secret === undefined) continue;
      await this.#store.read(secret).catch((error: unknown) => log.debug({ err: error, secret }, 'Secret not read'));
      // A machine that had no list for want of an answer gets it now.
      this.#sendUsers(secret);
    }
  }

  #next(): string | undefined {
    if (this.#turn.length === 0) this.#turn = [...this.#users.keys()];
    let next = this.#turn.shift();
    while (next !== undefined && !this.#users.has(next)) next = this.#turn.shift();
    return next;
  }

  async #content(key: string, session: SecretSession, name: string): Promise<Buffer | undefined> {
    const held = this.#held.get(key);
    const ref = specOf(this.#options.machine(key) ?? ({} as NixMachine)).secrets?.find((one) => one.name === name);
    if (held?.session !== session || ref === undefined || !mayAsk(held)) return undefined;
    const secret = secretOf(key, ref.secretRef.name);
    try {
      const data = await this.#store.recent(secret);
      const known = this.#store.get(secret, ref.secretRef.key);
      return known !== undefined && 'digest' in known ? data?.[ref.secretRef.key] : undefined;
    } catch (error) {
      this.#options.log.warn({ err: error, machine: key, secret }, 'a Secret can not be read; it is looked at again');
      return undefined;
    }
  }

  /** Takes the list of a machine, reads what it names, and sends it when all is known. */
  #take(key: string, held: Held, machine: NixMachine, age: Age): void {
    const names = new Set((specOf(machine).secrets ?? []).map(({ secretRef }) => secretOf(key, secretRef.name)));
    for (const name of held.names) if (!names.has(name)) this.#leave(name, key);
    for (const name of names) {
      const users = this.#users.get(name) ?? new Set();
      this.#users.set(name, users.add(key));
    }
    held.names = names;
    held.about = aboutOf(machine);
    held.verb = verbOf(machine);
    const reads = [...names].map((name) => this.#look(name, age));
    void Promise.allSettled(reads).then((results) => {
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined && !this.#options.signal.aborted) {
        this.#options.log.warn(
          { err: failed.reason, machine: key },
          'Secrets can not be read; they are looked at again',
        );
      }
      if (this.#held.get(key) === held) this.#send(key, held);
    });
  }

  /** A fleet that connects at once does not read what was just read; whoever asks for it by the verb does. */
  async #look(secret: string, age: Age): Promise<void> {
    const { pollSeconds = POLL_SECONDS } = this.#options;
    if (age === 'known' && this.#store.isFresh(secret, pollSeconds)) return;
    await (age === 'anew' ? this.#store.read(secret) : this.#store.recent(secret));
  }

  #sendUsers(secret: string): void {
    for (const key of this.#users.get(secret) ?? []) {
      const held = this.#held.get(key);
      if (held !== undefined) this.#send(key, held);
    }
  }

  /** The session sends it only where it differs from the last one. */
  #send(key: string, held: Held): void {
    const machine = this.#options.machine(key);
    const message = machine === undefined ? undefined : this.#message(key, machine);
    if (message !== undefined) held.session.handle({ kind: 'secrets', message });
  }

  #message(key: string, machine: NixMachine): SecretsMessage | undefined {
    const entries: SecretsMessage['entries'] = [];
    for (const { name, secretRef, owner, group, mode } of specOf(machine).secrets ?? []) {
      const known = this.#store.get(secretOf(key, secretRef.name), secretRef.key);
      if (known === undefined) return undefined;
      entries.push({ name, owner: owner ?? 'root', group: group ?? 'root', mode: mode ?? SECRET_MODE, ...known });
    }
    return { type: 'secrets', generation: machine.metadata.generation ?? 0, salt: this.#store.salt, entries };
  }

  #drop(key: string): void {
    for (const name of this.#held.get(key)?.names ?? []) this.#leave(name, key);
    this.#held.delete(key);
  }

  #leave(secret: string, key: string): void {
    const users = this.#users.get(secret);
    users?.delete(key);
    if (users?.size !== 0) return;
    this.#users.delete(secret);
    this.#store.forget(secret);
  }
}

const now = (): number => performance.now() / 1000;

/** `lab/web-01` and `tls` -> `lab/tls`: never of another namespace. */
function secretOf(machine: string, name: string): string {
  return `${machine.split('/')[0]}/${name}`;
}

function verbOf({ metadata }: NixMachine): string | undefined {
  return metadata.annotations?.[verbAnnotation('reconcile')];
}

function aboutOf(machine: NixMachine): string {
  return JSON.stringify([machine.metadata.generation, specOf(machine).secrets ?? [], verbOf(machine)]);
}

function mayAsk(held: Held): boolean {
  const at = now();
  const left = Math.min(ASKS.burst, held.asks.left + (at - held.asks.at) * ASKS.perSecond);
  held.asks = { left: left < 1 ? left : left - 1, at };
  return left >= 1;
}
