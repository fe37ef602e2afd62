// The agent's memory across crashes and power cuts: one file, replaced as a whole, with a checksum and a second copy.
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { type AttemptRecord, isDone, isFor, type Order } from '../attempt/record.ts';
import type { Files } from './files.ts';

/** Ended attempts that are remembered. */
const REMEMBERED = 10;
const MAGIC = 'floe-journal';
const FORMAT = 1;

export type Journal = {
  /** Highest sequence that was accepted; a lower one is refused. */
  readonly sequence: number;
  /** The attempt in hand, or the last one. */
  readonly attempt?: AttemptRecord;
  /** Attempts that ended before that one, newest first. */
  readonly ended: readonly AttemptRecord[];
};

export const EMPTY_JOURNAL: Journal = { sequence: 0, ended: [] };

/** The journal of a newer agent, which this one can't read. */
export class JournalTooNewError extends Error {
  override readonly name = 'JournalTooNewError';
}

/** What was read, and what was wrong with a copy that could not be used. */
export type Loaded = { readonly journal: Journal; readonly damage?: string };

/** The bytes of a journal: a line with format and checksum, then JSON. */
export function encodeJournal(journal: Journal): Buffer {
  const body = JSON.stringify(journal);
  return Buffer.from(`${MAGIC} ${FORMAT} ${createHash('sha256').update(body).digest('hex')}\n${body}\n`);
}

type Decoded = { readonly ok: true; readonly journal: Journal } | { readonly ok: false; readonly damage: string };

/** Reads a journal's bytes. Throws JournalTooNewError for a format of the future. */
export function decodeJournal(content: Buffer): Decoded {
  const text = content.toString('utf8');
  const match = /^floe-journal (\d+) ([0-9a-f]{64})\n/.exec(text);
  if (match === null) return { ok: false, damage: 'its first line is not that of a journal' };
  if (Number(match[1]) > FORMAT) {
    throw new JournalTooNewError(
      `the journal has format ${match[1]}, this agent reads up to ${FORMAT}: run a newer agent`,
    );
  }
  const body = text.slice(match[0].length, -1);
  if (!text.endsWith('\n') || createHash('sha256').update(body).digest('hex') !== match[2]) {
    return { ok: false, damage: 'its checksum is wrong' };
  }
  return { ok: true, journal: JSON.parse(body) as Journal };
}

/** The journal file and its second copy in one folder. */
export class JournalFile {
  readonly #files: Files;
  readonly #path: string;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#path = join(folder, 'journal');
  }

  /** Reads the newest copy that is whole; an empty journal where there is none. */
  async load(): Promise<Loaded> {
    const damages: string[] = [];
    for (const path of [this.#path, `${this.#path}.old`]) {
      const content = await this.#files.read(path);
      if (content === undefined) continue;
      const decoded = decodeJournal(content);
      if (decoded.ok) {
        return { journal: decoded.journal, ...(damages.length === 0 ? {} : { damage: damages.join('; ') }) };
      }
      damages.push(`${path}: ${decoded.damage}`);
    }
    return { journal: EMPTY_JOURNAL, ...(damages.length === 0 ? {} : { damage: damages.join('; ') }) };
  }

  /** Stores the journal; when it resolves, a power cut can't take it away any more. */
  async save(journal: Journal): Promise<void> {
    const folder = dirname(this.#path);
    const content = encodeJournal(journal);
    await this.#files.makeFolder(folder);
    const before = await this.#files.read(this.#path);
    if (before !== undefined && isWhole(before)) await this.#replace(`${this.#path}.old`, before);
    await this.#replace(this.#path, content);
    await this.#files.syncFolder(folder);
  }

  async #replace(path: string, content: Buffer): Promise<void> {
    await this.#files.writeSynced(`${path}.new`, content);
    await this.#files.rename(`${path}.new`, path);
  }
}

function isWhole(content: Buffer): boolean {
  try {
    return decodeJournal(content).ok;
  } catch {
    return false;
  }
}

/** The journal with this record as the attempt in hand; another that was there is remembered if it had ended. */
export function withAttempt(journal: Journal, record: AttemptRecord): Journal {
  const last = journal.attempt;
  const replaced = last !== undefined && !(isFor(last, record.order) && last.startedAt === record.startedAt);
  const ended = replaced && isDone(last) ? [last, ...journal.ended].slice(0, REMEMBERED) : journal.ended;
  return { sequence: Math.max(journal.sequence, record.order.sequence), attempt: record, ended };
}

/** The attempt of this order, in hand or ended; undefined when there was none. */
export function findAttempt(journal: Journal, order: Pick<Order, 'id' | 'closure'>): AttemptRecord | undefined {
  return [journal.attempt, ...journal.ended].find((record) => record !== undefined && isFor(record, order));
}
