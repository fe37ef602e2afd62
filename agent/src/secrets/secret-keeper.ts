// Keeps the files below /run/floe-secrets as the hub's list says: asks for what differs, writes it, removes the rest.
import type { AgentMessage } from '@floe/crds/protocol';
import { MAX_SECRET_BYTES, SECRETS_AT_ONCE } from '@floe/crds/secret-limits';
import type { SecretMessage, SecretsMessage, SecretsStatus } from '@floe/crds/secrets';
import type { Log } from '../log.ts';
import type { Accounts } from './accounts.ts';
import { accessOf, digestOf, type Entry, sameAccess } from './secret-entry.ts';
import type { SecretFiles } from './secret-folder.ts';
import { isNothing, merged, parseReaction, type Reaction, type UnitReactions } from './unit-reactions.ts';

export type SecretKeeperParts = {
  readonly files: SecretFiles;
  readonly accounts: () => Promise<Accounts>;
  /** By secret, as the machine's configuration says. */
  readonly reactions: () => Promise<Readonly<Record<string, Reaction>>>;
  readonly units: UnitReactions;
  readonly log: Log;
  /** RFC 3339. */
  readonly now: () => string;
  /** Milliseconds until what failed on the machine itself is tried again. Default 30,000. */
  readonly retryMs?: number;
};

/** One list that is being carried out. */
type Work = {
  readonly list: SecretsMessage;
  readonly send: (message: AgentMessage) => void;
  /** Still to be asked for. */
  missing: string[];
  /** Asked for, and not answered yet. */
  readonly asked: Set<string>;
  readonly faults: Map<string, string>;
  readonly present: Set<string>;
  /** Something failed that may be better later without a new list. */
  retry: boolean;
};

/** Note: all secrets of this machine have been there since boot. floe-secrets.service waits for it. */
const COMPLETE = 'complete';
/** Note: when a file changed last, RFC 3339. */
const CHANGED = 'changed';
/** Note: units that are to be told of new contents, in case the agent ends before it could. */
const UNITS = 'units';
const FAULTS_SHOWN = 16;
const RETRY_MS = 30_000;

export class SecretKeeper {
  readonly #parts: SecretKeeperParts;
  #work: Work | undefined;
  #status: SecretsStatus | undefined;
  #changedAt: string | undefined;
  #toldComplete = false;
  #changed: () => void = () => undefined;
  /** One thing at a time, in the order in which it came. */
  #queue: Promise<void> = Promise.resolve();

  constructor(parts: SecretKeeperParts) {
    this.#parts = parts;
  }

  /** What is reported; undefined while the machine has no secrets. */
  get status(): SecretsStatus | undefined {
    return this.#status;
  }

  /** Called when `status` is another one. */
  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  /** Resolves when all that has come so far is done. */
  settled(): Promise<void> {
    return this.#queue;
  }

  /** The hub's list; `send` asks on the connection that it came over. */
  list(list: SecretsMessage, send: (message: AgentMessage) => void): void {
    this.#enqueue(() => this.#begin(list, send));
  }

  /** One content. One that nobody asked for is dropped. */
  content(message: SecretMessage): void {
    this.#enqueue(() => this.#take(message));
  }

  #enqueue(task: () => Promise<void>): void {
    this.#queue = this.#queue.then(task).catch((error: unknown) => {
      this.#parts.log.error(`secrets: ${error instanceof Error ? error.message : error}`);
      const total = this.#work?.list.entries.length ?? 0;
      const message = (error instanceof Error ? error.message : String(error)).slice(0, 512);
      const first = this.#work?.list.entries[0];
      if (this.#work !== undefined) this.#retry(this.#work);
      if (first !== undefined) this.#report({ ...this.#base(total), failed: [{ name: first.name, message }] });
    });
  }

  async #begin(list: SecretsMessage, send: (message: AgentMessage) => void): Promise<void> {
    const { files } = this.#parts;
    const work: Work = {
      list,
      send,
      missing: [],
      asked: new Set(),
      faults: new Map(),
      present: new Set(),
      retry: false,
    };
    this.#work = work;
    await files.prepare();
    this.#changedAt ??= await files.readNote(CHANGED);
    await this.#removeOthers(list);
    const accounts = await this.#parts.accounts();
    for (const entry of list.entries) await this.#look(entry, work, accounts);
    await this.#next(work);
  }

  async #removeOthers({ entries }: SecretsMessage): Promise<void> {
    const { files, log } = this.#parts;
    const wanted = new Set(entries.map(({ name }) => name));
    for (const name of await files.names()) {
      if (wanted.has(name)) continue;
      await files.remove(name);
      log.info(`secret ${name} removed`);
      await this.#stamp();
    }
  }

  /** Decides over one entry: it is there already, only its access differs, it is to be asked for, or it can't be. */
  async #look(entry: Entry, work: Work, accounts: Accounts): Promise<void> {
    const { files } = this.#parts;
    const { name, digest, fault } = entry;
    if (digest === undefined) {
      work.faults.set(name, fault ?? 'the hub has no content for it');
      return;
    }
    const access = accessOf(entry, accounts);
    if (typeof access === 'string') {
      this.#fail(work, name, access);
      return;
    }
    const stored = await files.read(name);
    if (stored === undefined || digestOf(stored.content, work.list.salt) !== digest) work.missing.push(name);
    else if (sameAccess(stored.access, access)) work.present.add(name);
    else await this.#write(entry, stored.content, work);
  }

  async #take({ name, content }: SecretMessage): Promise<void> {
    const work = this.#work;
    if (work === undefined || !work.asked.delete(name)) return;
    const entry = work.list.entries.find((one) => one.name === name);
    const bytes = content === undefined ? undefined : Buffer.from(content, 'base64');
    if (entry === undefined || bytes === undefined || bytes.length > MAX_SECRET_BYTES) {
      this.#fail(work, name, 'the hub could not send its content; it is asked again');
    } else if (digestOf(bytes, work.list.salt) !== entry.digest) {
      // It changed meanwhile: the hub knows by now, and a new list follows.
      this.#fail(work, name, 'its content changed while it was sent; a new list follows');
    } else {
      await this.#write(entry, bytes, work);
    }
    if (work.asked.size === 0) await this.#next(work);
  }

  async #write(entry: Entry, content: Buffer, work: Work): Promise<void> {
    const { files, accounts, reactions, log } = this.#parts;
    const { name } = entry;
    const access = accessOf(entry, await accounts());
    if (typeof access === 'string') {
      this.#fail(work, name, access);
      return;
    }
    const before = await files.read(name);
    const isNew = before === undefined || !before.content.equals(content);
    try {
      // First the note, then the file: after a crash in between a unit is restarted once too often, never too seldom.
      if (isNew) await this.#remember((await reactions())[name]);
      await files.write(name, content, access);
    } catch (error: unknown) {
      this.#fail(work, name, `it can't be written: ${error instanceof Error ? error.message : error}`);
      return;
    }
    work.present.add(name);
    await this.#stamp();
    log.info(`secret ${name} written (${isNew ? 'content' : 'owner or mode'})`);
  }

  async #next(work: Work): Promise<void> {
    const names = work.missing.splice(0, SECRETS_AT_ONCE);
    if (names.length > 0) {
      for (const name of names) work.asked.add(name);
      work.send({ type: 'wantSecrets', names });
      return;
    }
    await this.#finish(work);
  }

  #fail(work: Work, name: string, why: string): void {
    work.faults.set(name, why);
    work.retry = true;
  }

  async #stamp(): Promise<void> {
    this.#changedAt = this.#parts.now();
    await this.#parts.files.note(CHANGED, this.#changedAt);
  }

  async #finish(work: Work): Promise<void> {
    const { list, faults, present } = work;
    const { files, units } = this.#parts;
    const noted = parseReaction(await files.readNote(UNITS));
    if (noted !== undefined) {
      await units.react(noted);
      await files.note(UNITS, undefined);
    }
    for (const [name, why] of faults) this.#parts.log.warn(`secret ${name}: ${why}`);
    const isComplete = faults.size === 0;
    const known = await files.readNote(COMPLETE);
    if (isComplete && known === undefined) await files.note(COMPLETE, '');
    // After a start of the agent, too: a target that failed meanwhile has another chance.
    if (isComplete && (known === undefined || !this.#toldComplete)) {
      this.#toldComplete = true;
      await units.complete();
    }
    if (work.retry) this.#retry(work);
    const failed = [...faults]
      .slice(0, FAULTS_SHOWN)
      .map(([name, message]) => ({ name, message: message.slice(0, 512) }));
    this.#report({
      ...this.#base(list.entries.length),
      generation: list.generation,
      delivered: present.size,
      ...(failed.length === 0 ? {} : { failed }),
    });
  }

  /** A user that a switch brings, memory that was short: tried again while no newer list came. */
  #retry(work: Work): void {
    const timer = setTimeout(() => {
      if (this.#work === work) this.list(work.list, work.send);
    }, this.#parts.retryMs ?? RETRY_MS);
    timer.unref();
  }

  #base(total: number): SecretsStatus {
    const generation = this.#work?.list.generation ?? 0;
    return {
      generation,
      total,
      delivered: 0,
      ...(this.#changedAt === undefined ? {} : { changedAt: this.#changedAt }),
    };
  }

  #report(status: SecretsStatus): void {
    const next = status.total === 0 ? undefined : status;
    const isSame = JSON.stringify(next) === JSON.stringify(this.#status);
    this.#status = next;
    if (!isSame) this.#changed();
  }

  async #remember(reaction: Reaction | undefined): Promise<void> {
    if (reaction === undefined || isNothing(reaction)) return;
    const { files } = this.#parts;
    await files.note(UNITS, JSON.stringify(merged(parseReaction(await files.readNote(UNITS)), reaction)));
  }
}
