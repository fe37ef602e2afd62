// Bounds how many programs run at once, where each may take much memory.
import type { RunProgram } from './process.ts';

/** `run`, so many at once; the others wait in line. The time limit of a program counts from its own start. */
export function fewAtOnce(run: RunProgram, limit: number): RunProgram {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (command, options) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await run(command, options);
    } finally {
      // The place goes over to the next in line without being free in between.
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
