// How many lanes a host carries.

/** What a host has to give. */
export interface Host {
  readonly cores: number;
  /** Memory that is free for programs, in bytes. */
  readonly freeBytes: number;
}

/** A cluster with an operator, a cache, five machines and a build in it, and the scenario's own process, at their most; in bytes. */
const LANE_BYTES = 2.5 * 2 ** 30;
/** What stays free for the unit tests, which run beside the first scenarios; in bytes. */
const RESERVED_BYTES = 4 * 2 ** 30;
/** A lane at work takes about a core with its cluster's own programs; with more of them, leaders lose their Leases for want of it. */
const LANES_PER_CORE = 1;
const MOST = 8;

/** As many lanes as cores and memory allow, at least one. */
export function laneCount({ cores, freeBytes }: Host): number {
  const byMemory = Math.floor((freeBytes - RESERVED_BYTES) / LANE_BYTES);
  return Math.max(1, Math.min(MOST, cores * LANES_PER_CORE, byMemory));
}
