// The table at the end of `npm test`: which files took longest.
import { duration } from '../src/terminal.ts';
import type { Cost } from './verdict.ts';

const ROWS = 12;

/** A row for each of the longest, the longest first, and the sum of all; empty where there was none. */
export function longest(costs: readonly Cost[]): readonly string[] {
  if (costs.length === 0) return [];
  const rows = costs.toSorted((a, b) => b.seconds - a.seconds).slice(0, ROWS);
  const sum = (of: (cost: Cost) => number): string => duration(costs.reduce((total, cost) => total + of(cost), 0));
  const line = (seconds: string, processor: string, name: string): string =>
    `  ${seconds.padStart(12)} ${processor.padStart(12)}  ${name}`;
  return [
    line('time', 'processor', ''),
    ...rows.map(({ file, seconds, processorSeconds, lane }) =>
      line(
        duration(seconds),
        processorSeconds === undefined ? '' : duration(processorSeconds),
        lane === undefined ? file : `${file} (lane ${lane})`,
      ),
    ),
    line(
      sum(({ seconds }) => seconds),
      sum(({ processorSeconds }) => processorSeconds ?? 0),
      `all ${costs.length}`,
    ),
  ];
}
