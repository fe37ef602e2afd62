// The agent's memory across crashes and power cuts: one file, replaced as a whole, with a checksum and a second copy.
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { type AttemptRecord, isDone, isFor, type Order, type Step } from '../attempt/record.ts';
import type { Files } from './files.ts';

/** Ended attempts that are remembered. */
const REMEMBERED = 10;
const MAGIC = 'floe-journal';
/** Format that this agent writes where an older one could not go on from the record, and reads beside the older. */
const FORMAT = 2;
const FIRST_FORMAT = 1;
/** Steps that agents of format 1 do not know. */
const NEW_STEPS: ReadonlySet<Step> = new Set<Step>(['stand-down', 'await-reboot', 'restart', 'undo-units']);

export type Journal = {
  /** Highest sequence that was accepted; a lower one is refused. */
  readonly sequence: number;
  /** The attempt in hand, or the last one. */
  readonly attempt?: AttemptRecord;
  /** Attempts that ended before that one, newest first. */
  readonly ended: readonly AttemptRecord[];
};

export const EMPTY_JOURNAL: Journal = { sequence: 0, ended: [] };

/** What was read, and what was wrong with a copy that could not be used. */
export type Loaded = { readonly journal: Journal; readonly damage?: string };

/** The bytes of a journal: a line with format and checksum, then JSON. */
export function encodeJournal(journal: Journal): Buffer {
  const body = JSON.stringify(journal);
  const format = journal.attempt !== undefined && NEW_STEPS.has(journal.attempt.step) ? FORMAT : FIRST_FORMAT;
  return Buffer.from(`${MAGIC} ${format} ${createHash('sha256').update(body).digest('hex')}\n${body}\n`);
}

type Decoded =
  | { readonly ok: true; readonly journal: Journal; readonly damage?: string }
  | { readonly ok: false; readonly damage: string };

/**
 * Reads a journal's bytes. Of a newer agent's journal only the sequence is taken: after a roll-back the older agent
 * must run all the same.
 */
export function decodeJournal(content: Buffer): Decoded {
  const text = content.toString('utf8');
  const match = /^floe-journal ([1-9]\d*) ([0-9a-f]{64})\n/.exec(text);
  if (match === null) return { ok: false, damage: 'its first line is not that of a journal' };
  const body = text.slice(match[0].length, -1);
  if (!text.endsWith('\n') || createHash('sha256').update(body).digest('hex') !== match[2]) {
    return { ok: false, damage: 'its checksum is wrong' };
  }
  const journal = JSON.parse(body) as Journal;
  if (Number(match[1]) <= FORMAT) return { ok: true, journal };
  const sequence = typeof journal.sequence === 'number' ? journal.sequence : 0;
  const newer = `it has format ${match[1]} of another version of the agent; this one reads ${FORMAT}`;
  return { ok: true, journal: { sequence, ended: [] }, damage: newer };
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
      if (decoded.damage !== undefined) damages.push(`${path}: ${decoded.damage}`);
      if (decoded.ok) {
        return { journal: decoded.journal, ...(damages.length === 0 ? {} : { damage: damages.join('; ') }) };
      }
    }
    return { journal: EMPTY_JOURNAL, ...(damages.length === 0 ? {} : { damage: damages.join('; ') }) };
  }

  /** Stores the journal; when it resolves, a power cut can't take it away any more. */
  async save(journal: Journal): Promise<void> {
    const folder = dirname(this.#path);
    const content = encodeJournal(journal);
    await this.#files.makeFolder(folder);
    const before = await this.#files.read(this.#path);
    if (before !== undefined && decodeJournal(before).ok) await this.#replace(`${this.#path}.old`, before);
    await this.#replace(this.#path, content);
    await this.#files.syncFolder(folder);
  }

  async #replace(path: string, content: Buffer): Promise<void> {
    await this.#files.writeSynced(`${path}.new`, content);
    await this.#files.rename(`${path}.new`, path);
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
