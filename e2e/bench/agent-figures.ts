// From what the agent bench measured to the figures that it prints.
import type { Idle, Memory } from './agent-cost.ts';
import { percentile } from './figures.ts';

/** One order, in milliseconds from its being written into the machine's status. */
export type Brought = {
  /** Until the agent began. */
  readonly received: number;
  /** Until the switch was done and the checks had passed. */
  readonly running: number;
  /** Until it was confirmed over a new connection, kept, and the boot default. */
  readonly committed: number;
};

export type AgentMeasured = {
  /** Milliseconds of each bare `switch-to-configuration switch`. */
  readonly byHand: readonly number[];
  readonly brought: readonly Brought[];
  readonly node: Memory;
  /** A minute after its connection, and a minute after the last attempt. */
  readonly fresh: Memory;
  readonly afterAttempts: Memory;
  readonly idle: Idle;
  /** Status writes that the API server counted meanwhile. */
  readonly writes: number;
  readonly load: readonly number[];
  readonly cpus: number;
};

type Spread = { readonly median: number; readonly least: number; readonly most: number };

/** The result of `npm run bench -- agent --json`. */
export type AgentFigures = {
  readonly bench: 'agent';
  /** Closures that were brought, and the same ones by hand. */
  readonly closures: number;
  readonly comparedWith: string;
  readonly byHandMs: Spread;
  readonly receivedMs: Spread;
  readonly runningMs: Spread;
  readonly committedMs: Spread;
  /** Medians divided by that of the bare switch. */
  readonly runningOverByHand: number;
  readonly committedOverByHand: number;
  readonly memoryMiB: { readonly plainNode: Memory; readonly fresh: Memory; readonly afterAttempts: Memory };
  readonly idle: {
    readonly measuredSeconds: number;
    readonly bytesPerHour: number;
    readonly packetsPerHour: number;
    readonly apiWritesPerHour: number;
    readonly wakesPerHour: number;
    readonly cpuSecondsPerHour: number;
  };
  /** Of the host, when it began and when it ended, over a minute. */
  readonly load: readonly number[];
  readonly cpus: number;
};

export function agentFiguresOf(measured: AgentMeasured): AgentFigures {
  const { brought, idle, writes } = measured;
  const byHandMs = spread(measured.byHand);
  const runningMs = spread(brought.map(({ running }) => running));
  const committedMs = spread(brought.map(({ committed }) => committed));
  const hourly = (count: number): number => Math.round((count * 3600) / idle.seconds);
  return {
    bench: 'agent',
    closures: brought.length,
    comparedWith:
      '`switch-to-configuration switch` of the same closures in the same order, by hand on the same machine',
    byHandMs,
    receivedMs: spread(brought.map(({ received }) => received)),
    runningMs,
    committedMs,
    runningOverByHand: round(runningMs.median / byHandMs.median, 2),
    committedOverByHand: round(committedMs.median / byHandMs.median, 2),
    memoryMiB: {
      plainNode: rounded(measured.node),
      fresh: rounded(measured.fresh),
      afterAttempts: rounded(measured.afterAttempts),
    },
    idle: {
      measuredSeconds: Math.round(idle.seconds),
      bytesPerHour: hourly(idle.bytes),
      packetsPerHour: hourly(idle.packets),
      apiWritesPerHour: hourly(writes),
      wakesPerHour: hourly(idle.wakes),
      cpuSecondsPerHour: round((idle.cpuSeconds * 3600) / idle.seconds, 1),
    },
    load: measured.load.map((value) => round(value, 1)),
    cpus: measured.cpus,
  };
}

/** The figures as people read them. */
export function describeAgentFigures(figures: AgentFigures): string {
  const { byHandMs, runningMs, committedMs, memoryMiB: memory, idle } = figures;
  const times = ({ median, least, most }: Spread): string => `${median} ms (${least} to ${most})`;
  const mib = ({ rss, anonymous }: Memory): string => `${rss} MiB, ${anonymous} MiB of them its own`;
  const rows: readonly (readonly [string, string])[] = [
    ['by hand', `${times(byHandMs)}, ${figures.closures} closures`],
    ['order to running', `${times(runningMs)}, ${figures.runningOverByHand} times that`],
    ['order to committed', `${times(committedMs)}, ${figures.committedOverByHand} times that`],
    ['agent, connected', mib(memory.fresh)],
    ['agent, after attempts', mib(memory.afterAttempts)],
    ['plain Node', mib(memory.plainNode)],
    [
      'idle, per hour',
      `${idle.bytesPerHour} bytes in ${idle.packetsPerHour} packets, ${idle.apiWritesPerHour} API writes, ${idle.wakesPerHour} wakes (out of ${idle.measuredSeconds} s)`,
    ],
    ['host', `${figures.cpus} cores, load ${figures.load.join(' to ')}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

function spread(values: readonly number[]): Spread {
  return {
    median: Math.round(percentile(values, 0.5)),
    least: Math.round(Math.min(...values)),
    most: Math.round(Math.max(...values)),
  };
}

function rounded({ rss, pss, anonymous }: Memory): Memory {
  return { rss: round(rss, 1), pss: round(pss, 1), anonymous: round(anonymous, 1) };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
