// From what was measured to the figures that a bench prints.

/** Seconds of processor time, by who used it. */
export type CpuSeconds = {
  readonly operator: number;
  readonly apiServer: number;
  readonly etcd: number;
  readonly agents: number;
};

/** What the course of the rollout bench measured. */
export type Measured = {
  readonly machines: number;
  /** From the operator's start until its first decision about the Rollout, with all machines in the API. */
  readonly startSeconds: number;
  /** For how long its event loop was blocked at most, in ms: while it started, while agents connected, in the rollout. */
  readonly blockMs: { readonly start: number; readonly connect: number; readonly rollout: number };
  /** From the first agent's start until the first run is complete. */
  readonly connectSeconds: number;
  /** From the write of the new revision until the Rollout says Completed. */
  readonly rolloutSeconds: number;
  /** PATCHes of nixmachines/status that the API server answered because of the rollout, whatever the answer. */
  readonly patches: number;
  /** Those among them that lost a race (409). */
  readonly conflicts: number;
  /** The API server's own PATCH rate, and what one of them costs it and etcd in processor time. */
  readonly alone: { readonly writesPerSecond: number; readonly cpuSecondsPerWrite: number };
  /** Resident memory of the operator in MiB, when the rollout was complete and at most. */
  readonly operatorRssMiB: number;
  readonly operatorPeakRssMiB: number;
  /** Resident memory, in MiB, of a server in Node that only holds as many WebSockets over TLS. */
  readonly bareServerMiB: number;
  readonly cpu: CpuSeconds;
  /** From the writing of each order until its machine began, in ms. */
  readonly receiptMs: readonly number[];
};

/** The result of `npm run bench -- rollout --json`. */
export type RolloutFigures = {
  readonly bench: 'rollout';
  readonly machines: number;
  readonly machinesPerSecond: number;
  readonly writesPerMachine: number;
  readonly apiserverWritesPerSecond: number;
  readonly operatorRssMiB: number;
  readonly operatorPeakRssMiB: number;
  /** Resident memory of a server in Node that only holds as many WebSockets over TLS. */
  readonly bareServerMiB: number;
  /** machinesPerSecond divided by the floor of the design: the API server's rate, two writes per machine. */
  readonly shareOfFloor: number;
  /**
   * The part of all processor time of the rollout that API server and etcd needed for two writes per machine, as they
   * cost with nothing else going on. Unlike rates it does not depend on what else the host does.
   */
  readonly cpuShareOfFloor: number;
  readonly rolloutSeconds: number;
  readonly conflicts: number;
  readonly startSeconds: number;
  readonly connectSeconds: number;
  /** The longest time for which the operator's event loop was blocked, start included; `blockMs` has it by stage. */
  readonly longestBlockMs: number;
  readonly blockMs: Measured['blockMs'];
  readonly receiptP50Ms: number;
  readonly receiptP99Ms: number;
  readonly cpuSeconds: CpuSeconds;
  /** Processors of the host, which all of them share. */
  readonly cpus: number;
};

/** Writes per machine that the design calls the floor. */
const WRITES_FLOOR = 2;

/** The value below which `share` (0 to 1) of the values lie, by nearest rank; 0 where there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1] ?? 0;
}

/** The figures, rounded to what the measuring can tell. */
export function figuresOf(measured: Measured, cpus: number): RolloutFigures {
  const { machines, rolloutSeconds, patches, alone, cpu } = measured;
  const cpuPerMachine = (cpu.operator + cpu.apiServer + cpu.etcd + cpu.agents) / machines;
  const machinesPerSecond = machines / rolloutSeconds;
  return {
    bench: 'rollout',
    machines,
    machinesPerSecond: round(machinesPerSecond, 1),
    writesPerMachine: round(patches / machines, 3),
    apiserverWritesPerSecond: round(alone.writesPerSecond, 1),
    operatorRssMiB: round(measured.operatorRssMiB, 1),
    operatorPeakRssMiB: round(measured.operatorPeakRssMiB, 1),
    bareServerMiB: round(measured.bareServerMiB, 1),
    shareOfFloor: round(machinesPerSecond / (alone.writesPerSecond / WRITES_FLOOR), 3),
    cpuShareOfFloor: round((WRITES_FLOOR * alone.cpuSecondsPerWrite) / cpuPerMachine, 3),
    rolloutSeconds: round(rolloutSeconds, 2),
    conflicts: measured.conflicts,
    startSeconds: round(measured.startSeconds, 2),
    connectSeconds: round(measured.connectSeconds, 2),
    longestBlockMs: Math.round(Math.max(...Object.values(measured.blockMs))),
    blockMs: {
      start: Math.round(measured.blockMs.start),
      connect: Math.round(measured.blockMs.connect),
      rollout: Math.round(measured.blockMs.rollout),
    },
    receiptP50Ms: Math.round(percentile(measured.receiptMs, 0.5)),
    receiptP99Ms: Math.round(percentile(measured.receiptMs, 0.99)),
    cpuSeconds: {
      operator: round(cpu.operator, 2),
      apiServer: round(cpu.apiServer, 2),
      etcd: round(cpu.etcd, 2),
      agents: round(cpu.agents, 2),
    },
    cpus,
  };
}

/** The figures as people read them. */
export function describeFigures(figures: RolloutFigures): string {
  const { cpuSeconds: cpu } = figures;
  const rows: readonly (readonly [string, string])[] = [
    ['rollout', `${figures.machines} machines in ${figures.rolloutSeconds} s: ${figures.machinesPerSecond} per second`],
    [
      'status writes per machine',
      `${figures.writesPerMachine} (floor ${WRITES_FLOOR}; ${figures.conflicts} lost races)`,
    ],
    ['the API server alone', `${figures.apiserverWritesPerSecond} PATCHes per second, with one watch open`],
    ['share of the floor', `${Math.round(figures.shareOfFloor * 100)} % of that rate divided by ${WRITES_FLOOR}`],
    ['order to agent', `${figures.receiptP50Ms} ms (half), ${figures.receiptP99Ms} ms (99 of 100)`],
    [
      'operator',
      `${figures.operatorRssMiB} MiB, at most ${figures.operatorPeakRssMiB} MiB; first decision after ${figures.startSeconds} s`,
    ],
    ['as many connections alone', `${figures.bareServerMiB} MiB in a Node server that does nothing with them`],
    [
      'its event loop',
      `blocked for ${figures.longestBlockMs} ms at most (start ${figures.blockMs.start}, connecting ${figures.blockMs.connect}, rollout ${figures.blockMs.rollout})`,
    ],
    ['agents', `all connected and settled in ${figures.connectSeconds} s`],
    [
      'processor time',
      `operator ${cpu.operator} s, API server ${cpu.apiServer} s, etcd ${cpu.etcd} s, agents ${cpu.agents} s, on ${figures.cpus} cores; ${Math.round(figures.cpuShareOfFloor * 100)} % of it is the floor's`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
