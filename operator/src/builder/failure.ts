// The one error by which a build container ends: what, which field, what to do.
import type { BuildError } from '@floe/crds/build';
import { withoutSecrets } from '../nix/error-words.ts';

/** Kubernetes keeps 4096 bytes of a termination message; more would be cut in the middle of the JSON. */
const MAX_BYTES = 4000;

export class BuildFailure extends Error {
  override readonly name = 'BuildFailure';
  readonly field: string | undefined;
  readonly remedy: string | undefined;

  constructor(error: string, more: { field?: string | undefined; remedy?: string | undefined; cause?: unknown } = {}) {
    super(withoutSecrets(error), { cause: more.cause });
    this.field = more.field;
    this.remedy = more.remedy;
  }
}

/** Any error as the JSON that the operator reads from the pod. */
export function buildErrorOf(error: unknown): BuildError {
  if (!(error instanceof BuildFailure)) {
    const message = error instanceof Error ? error.message : String(error);
    return { error: withoutSecrets(message).slice(0, 1024), remedy: 'this is unexpected; see the log of the Job' };
  }
  return {
    error: error.message.slice(0, 2048),
    ...(error.field === undefined ? {} : { field: error.field.slice(0, 256) }),
    ...(error.remedy === undefined ? {} : { remedy: error.remedy.slice(0, 1024) }),
  };
}

/** The termination message, short enough that Kubernetes keeps it whole. */
export function terminationMessage(error: unknown): string {
  const said = buildErrorOf(error);
  for (let length = said.error.length; ; length = Math.floor(length * 0.8)) {
    const text = JSON.stringify({ ...said, error: said.error.slice(0, length) });
    if (Buffer.byteLength(text) <= MAX_BYTES) return text;
  }
}
