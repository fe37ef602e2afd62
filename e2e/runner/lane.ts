// The lane in which a scenario runs: one of several installations, each with its own cluster and machines, that run scenarios side by side.
import { inject } from 'vitest';
import { Installation } from '../src/installation.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The cluster's name of each lane; the first is that of lane 1. */
    lanes: readonly string[];
  }
}

/** The number of this process's lane, from 1. vitest gives each of its workers a place, and no two at a time the same. */
export function laneNumber(): number {
  return Number(process.env['VITEST_POOL_ID'] ?? 1);
}

/** The name of the lane's cluster. */
export function laneCluster(): string {
  const name = inject('lanes')[laneNumber() - 1];
  if (name === undefined) throw new Error(`there is no lane ${laneNumber()}: ${inject('lanes').join(' ')}`);
  return name;
}

/** The installation that this scenario has to itself until it ends. It leaves it to the next one, with every machine on a good revision. */
export function laneInstallation(): Promise<Installation> {
  return Installation.attach(laneCluster());
}
