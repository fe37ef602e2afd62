// How many lanes a host carries.

/** What a host has to give. */
export interface Host {
  readonly cores: number;
  /** Memory that is free for programs, in bytes. */
  readonly freeBytes: number;
}

/** A cluster with an operator, a cache, five machines and a build in it, and the scenario's own process, at their most; in bytes. */
const LANE_BYTES = 2.5 * 2 ** 30;
/** What stays free for everything else; in bytes. */
const RESERVED_BYTES = 4 * 2 ** 30;
/**
 * A lane at work takes 1.2 to 1.6 cores with its cluster's own programs. On two cores two lanes took more time for the same
 * scenarios than one, half of it in the kernel, and leaders lost their Leases.
 */
const CORES_PER_LANE = 2;
const MOST = 8;

/** As many lanes as cores and memory allow, at least one. */
export function laneCount({ cores, freeBytes }: Host): number {
  const byCores = Math.floor(cores / CORES_PER_LANE);
  const byMemory = Math.floor((freeBytes - RESERVED_BYTES) / LANE_BYTES);
  return Math.max(1, Math.min(MOST, byCores, byMemory));
}
