// Carries an attempt to its end: do a step, decide, write the journal, and again.
import { act } from './act.ts';
import { next } from './next.ts';
import type { AttemptPorts } from './ports.ts';
import { type AttemptRecord, isDone } from './record.ts';

/**
 * Drives the attempt until it is done and returns its last record. Aborting the signal stops after the step in
 * hand and rejects; the journal then says where to go on.
 */
export async function drive(start: AttemptRecord, ports: AttemptPorts, signal: AbortSignal): Promise<AttemptRecord> {
  let record = start;
  await ports.save(record);
  while (!isDone(record)) {
    signal.throwIfAborted();
    const outcome = await act(record, ports, signal);
    record = next(record, outcome, ports.clock.now());
    await ports.save(record);
  }
  return record;
}
