// What goes wrong on simulated machines: shares of a fleet, drawn from a seed, so that the same seed has the same course.
import { createHash } from 'node:crypto';

/** Shares are from 0 (default) to 1 of all attempts; each is drawn by itself, by seed, machine and closure. */
export type FleetScript = {
  readonly seed: number;
  /** The switch fails, and the machine rolls back. */
  readonly failSwitch?: number;
  /** The health checks fail, and the machine rolls back. */
  readonly failHealth?: number;
  /** A unit fails so many ms after the closure was kept. */
  readonly turnBad?: { readonly share: number; readonly afterMs: number };
  /** The agent ends so many ms after it was told to begin, and starts again so many later, or with the next script. */
  readonly disconnect?: { readonly share: number; readonly afterMs: number; readonly awayMs?: number };
  /** All stages take so many times as long. */
  readonly slow?: { readonly share: number; readonly factor: number };
};

/** What one attempt comes to. */
export type Fate = {
  readonly failsSwitch: boolean;
  readonly failsHealth: boolean;
  readonly turnsBad: boolean;
  readonly disconnects: boolean;
  readonly factor: number;
};

/** The fate of an attempt; the same for the same arguments. */
export function fateOf(script: FleetScript, machine: string, closure: string): Fate {
  const hits = (what: string, share = 0): boolean => draw(`${script.seed} ${what} ${machine} ${closure}`) < share;
  return {
    failsSwitch: hits('switch', script.failSwitch),
    failsHealth: hits('health', script.failHealth),
    turnsBad: hits('bad', script.turnBad?.share),
    disconnects: hits('disconnect', script.disconnect?.share),
    factor: hits('slow', script.slow?.share) ? (script.slow?.factor ?? 1) : 1,
  };
}

/** A number from 0 up to, and without, 1. */
function draw(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}
