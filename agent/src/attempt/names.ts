// Names that are made from an attempt: of its runs, timers, units and files.
import { createHash } from 'node:crypto';
import type { AttemptRecord } from './record.ts';

/** The attempt's key as a word that a unit or a file may be named by: its id where that is plain, and a hash of id and closure. */
export function attemptName(order: { readonly id: string; readonly closure: string }): string {
  const hash = createHash('sha256').update(`${order.id}\n${order.closure}`).digest('hex').slice(0, 8);
  const plain = order.id.replaceAll(/[^A-Za-z0-9_]/g, '_').slice(0, 40);
  return `${plain}-${hash}`;
}

/** Name of the run that the record is at. */
export function runName(record: AttemptRecord): string {
  return `${attemptName(record.order)}-${record.run}`;
}
