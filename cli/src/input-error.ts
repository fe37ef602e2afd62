// Input that the command can't work with: what is wrong, where, and what to do about it.

/** Wrong input: exit code 2. */
export class InputError extends Error {
  override readonly name = 'InputError';
  /** The field or flag that is wrong, `Rollout lab: spec.steps[1].batch.size`. */
  readonly field: string;
  readonly remedy: string;

  constructor(problem: { error: string; field: string; remedy: string }, options?: ErrorOptions) {
    super(problem.error, options);
    this.field = problem.field;
    this.remedy = problem.remedy;
  }

  toJSON(): { error: string; field: string; remedy: string } {
    return { error: this.message, field: this.field, remedy: this.remedy };
  }
}
