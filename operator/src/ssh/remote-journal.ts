// The journal of a machine without an agent: a file on the machine itself, in the agent's own form.
import { decodeJournal, EMPTY_JOURNAL, encodeJournal, type Journal } from '@floe/agent/journal/journal';
import type { Link } from './link.ts';
import { NotOwnerError } from './remote-machine.ts';
import { CLAIM, EXIT, OLDER_JOURNAL, SAVE } from './scripts.ts';

const LIMIT_SECONDS = 60;

export class RemoteJournal {
  readonly #link: Link;
  readonly #owner: string;
  journal: Journal = EMPTY_JOURNAL;

  constructor(link: Link, owner: string) {
    this.#link = link;
    this.#owner = owner;
  }

  /** Takes the machine over from whoever had it, and reads the journal. Returns what was wrong with it. */
  async claim(signal: AbortSignal): Promise<string | undefined> {
    const options = { signal, limitSeconds: LIMIT_SECONDS };
    const claimed = await this.#link.run(CLAIM, [this.#owner], options);
    if (claimed.code !== 0) throw new Error(`the machine can't be taken over: ${claimed.stderr.trim().slice(-300)}`);
    const damages: string[] = [];
    for (const read of [
      async () => claimed.stdout,
      async () => (await this.#link.run(OLDER_JOURNAL, [], options)).stdout,
    ]) {
      const text = await read();
      if (text === '') continue;
      const decoded = decodeJournal(Buffer.from(text));
      if (decoded.damage !== undefined) damages.push(decoded.damage);
      if (decoded.ok) {
        this.journal = decoded.journal;
        break;
      }
    }
    return damages.length === 0 ? undefined : damages.join('; ');
  }

  /** Stores the journal: when it resolves, a power cut on the machine can't take it away any more. */
  async save(journal: Journal, signal: AbortSignal): Promise<void> {
    const text = encodeJournal(journal).toString('base64');
    const saved = await this.#link.run(SAVE, [this.#owner, text], { signal, limitSeconds: LIMIT_SECONDS });
    if (saved.code === EXIT.notOwner) throw new NotOwnerError('another leader has taken over this machine');
    if (saved.code !== 0) throw new Error(`the journal can't be written: ${saved.stderr.trim().slice(-300)}`);
    this.journal = journal;
  }
}
