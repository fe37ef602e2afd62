// How many evaluations run at once: what the largest so far took, against what all of them may take.

/** What the next one may take beyond the largest so far. */
const MARGIN = 1.2;

/** Keeps count of what evaluations take. Before the first has ended one runs at a time. */
export class EvaluationMemory {
  /** Bytes that all evaluations together may take. */
  readonly budget: number;
  readonly #processors: number;
  #largest: number | undefined;

  constructor(budget: number, processors: number) {
    this.budget = budget;
    this.#processors = processors;
  }

  /** An evaluation took so many bytes at its peak; 0 where that could not be seen. */
  saw(bytes: number): void {
    this.#largest = Math.max(this.#largest ?? 0, bytes);
  }

  /** Evaluations that may run at once, at least one. */
  get atOnce(): number {
    if (this.#largest === undefined) return 1;
    const fit = this.#largest === 0 ? this.#processors : Math.floor(this.budget / (this.#largest * MARGIN));
    return Math.max(1, Math.min(this.#processors, fit));
  }

  /** Bytes that each of them may take. */
  get share(): number {
    return Math.floor(this.budget / this.atOnce);
  }
}
