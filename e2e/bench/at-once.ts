// Does the same for many things, a bounded number at once.

/** Calls `work` for each item, at most `parallel` at once; rejects with the first failure. */
export async function atOnce<T>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
}
