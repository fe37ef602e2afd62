// Evaluates the systems: a few alone first, then as many processes at once as the processors and the memory allow.
import type { Evaluated, RangeResult } from './evaluated.ts';
import { EvaluationMemory } from './evaluation-memory.ts';

/** The port that evaluates systems `from` (included) to `to` (not included) in one process of at most so many bytes. */
export type EvaluateRange = (from: number, to: number, memoryBytes: number) => Promise<RangeResult>;

export type EvaluateOptions = {
  /** Systems in one process. */
  readonly size: number;
  /** Bytes that all processes together may take. */
  readonly budgetBytes: number;
  /** Processes that are of use at once. */
  readonly processors: number;
  readonly evaluate: EvaluateRange;
  /** Hears how many systems are finished. */
  readonly onDone: (done: number) => void;
};

type Range = readonly [from: number, to: number];

/** Systems that are evaluated alone before the others. */
const PROBES = 4;

/** The first system, the last, and what lies evenly between them. */
function probesOf(count: number): number[] {
  const probes = Math.min(count, PROBES);
  return Array.from({ length: probes }, (_, index) => Math.round((index * (count - 1)) / Math.max(1, probes - 1)));
}

/** What remains between the probes, in pieces of at most `size`. */
function rangesBetween(count: number, probes: readonly number[], size: number): Range[] {
  const ranges: Range[] = [];
  let from = 0;
  for (const end of [...probes, count]) {
    for (; from < end; from += size) ranges.push([from, Math.min(from + size, end)]);
    from = end + 1;
  }
  return ranges;
}

/** The words of the mistake that all of them share; undefined where one is well or they differ. */
function sharedMistake(probed: readonly (Evaluated | undefined)[]): string | undefined {
  const [first] = probed;
  if (probed.length < PROBES || first?.kind !== 'failed') return undefined;
  return probed.every((one) => one?.kind === 'failed' && one.message === first.message) ? first.message : undefined;
}

/** The results of all systems, as they come. */
class Evaluation {
  readonly results: (Evaluated | undefined)[];
  readonly #options: EvaluateOptions;
  readonly #memory: EvaluationMemory;
  #done = 0;

  constructor(count: number, options: EvaluateOptions) {
    this.results = Array<Evaluated | undefined>(count).fill(undefined);
    this.#options = options;
    this.#memory = new EvaluationMemory(options.budgetBytes, options.processors);
  }

  /** Evaluates these ranges, several at once; those that ran out of their share of the memory again, alone. */
  async all(ranges: readonly Range[]): Promise<void> {
    const waiting = [...ranges];
    const alone: Range[] = [];
    const running = new Set<Promise<void>>();
    while (waiting.length > 0 || running.size > 0) {
      const range = running.size < this.#memory.atOnce ? waiting.shift() : undefined;
      if (range === undefined) {
        await Promise.race(running);
        continue;
      }
      const task = this.#one(range, this.#memory.share, { again: waiting, alone }).finally(() => running.delete(task));
      // Where one is ended by a signal or a time limit, that one is told; the others end the same way.
      task.catch(() => undefined);
      running.add(task);
    }
    for (let range = alone.shift(); range !== undefined; range = alone.shift()) {
      await this.#one(range, this.#memory.budget, { again: alone, alone: undefined });
    }
  }

  /** `again` takes the halves of a range that failed, `alone` what ran out of its share; without it there is no more to give. */
  async #one(
    range: Range,
    memoryBytes: number,
    { again, alone }: { again: Range[]; alone: Range[] | undefined },
  ): Promise<void> {
    const [from, to] = range;
    const result = await this.#options.evaluate(from, to, memoryBytes);
    this.#memory.saw(result.peakBytes);
    if (result.kind === 'values') {
      this.#finish(from, result.values);
    } else if (result.kind === 'out-of-memory' && alone !== undefined && memoryBytes < this.#memory.budget) {
      alone.push(range);
    } else if (to - from > 1) {
      // The culprit is found by halves; the others do not share its failure.
      const middle = from + Math.ceil((to - from) / 2);
      again.unshift([from, middle], [middle, to]);
    } else {
      this.#finish(from, [{ kind: 'failed', message: result.message }]);
    }
  }

  /** Says why the rest is not evaluated. */
  giveUp(message: string): void {
    for (const [index, result] of this.results.entries())
      if (result === undefined) this.#finish(index, [{ kind: 'failed', message }]);
  }

  #finish(from: number, values: readonly Evaluated[]): void {
    for (const [index, value] of values.entries()) this.results[from + index] = value;
    this.#done += values.length;
    this.#options.onDone(this.#done);
  }
}

/**
 * Evaluates all systems. The first is measured alone, so that no more processes run than the memory holds. Where several
 * that lie far apart fail with the same words, the mistake is in what they share, and the rest is not evaluated at all:
 * a mistake must not cost more the larger the fleet is.
 * The result has one entry for each system, in order.
 */
export async function evaluateAll(count: number, options: EvaluateOptions): Promise<Evaluated[]> {
  const evaluation = new Evaluation(count, options);
  const probes = probesOf(count);
  const [first, ...others] = probes.map((index): Range => [index, index + 1]);
  if (first === undefined) return [];
  await evaluation.all([first]);
  const rest = rangesBetween(count, probes, options.size);
  if (evaluation.results[0]?.kind === 'failed') {
    await evaluation.all(others);
    const mistake = sharedMistake(probes.map((index) => evaluation.results[index]));
    if (mistake === undefined) await evaluation.all(rest);
    else evaluation.giveUp(`not evaluated, since ${PROBES} of ${PROBES} others fail with the same words: ${mistake}`);
  } else {
    await evaluation.all([...others, ...rest]);
  }
  return evaluation.results.map((result) => result ?? { kind: 'failed', message: 'it was not evaluated' });
}
