// Success thresholds, in integers only.

/** Whether a batch that has ended succeeded: `ok × 100 >= threshold × total`. An empty batch did. */
export function isReached(ok: number, total: number, threshold: number): boolean {
  return ok * 100 >= threshold * total;
}

/** Whether a batch can still succeed when everyone that has not failed turns out well. */
export function isReachable(failed: number, total: number, threshold: number): boolean {
  return isReached(total - failed, total, threshold);
}
