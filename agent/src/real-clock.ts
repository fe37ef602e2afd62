// The clocks of this machine.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from './attempt/ports.ts';

export const realClock: Clock = {
  // hrtime, because its zero is that of the boot and not of this process: deadlines outlive it in the journal.
  now: () => ({ time: new Date().toISOString(), monotonicMs: Number(process.hrtime.bigint() / 1_000_000n) }),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
};
