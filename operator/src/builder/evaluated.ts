// What systems evaluate to, as the wrapper's `evaluate` tells it.
import { isStorePath } from '@floe/crds/nix-fingerprint';

/** What one system evaluates to. */
export type Evaluated =
  | { readonly kind: 'derivation'; readonly derivation: string; readonly output: string; readonly path: string }
  | { readonly kind: 'failed'; readonly message: string };

/** How one evaluation of a range ended: a value for each system of it, or one failure for all of it. */
export type RangeResult = {
  /** Memory at its peak, in bytes; 0 where it could not be seen. */
  readonly peakBytes: number;
} & (
  | { readonly kind: 'values'; readonly values: readonly Evaluated[] }
  | { readonly kind: 'failed'; readonly message: string }
  /** The memory that it was given did not do. */
  | { readonly kind: 'out-of-memory'; readonly message: string }
);

/** Reads what the wrapper's `evaluate` gave for `count` systems. */
export function parseEvaluated(
  text: string,
  count: number,
): { kind: 'values'; values: Evaluated[] } | { kind: 'failed'; message: string } {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return { kind: 'failed', message: 'the evaluation gave no JSON' };
  }
  if (!Array.isArray(list) || list.length !== count) {
    return { kind: 'failed', message: `the evaluation did not give ${count} results` };
  }
  return { kind: 'values', values: list.map(parseOne) };
}

function parseOne(value: unknown): Evaluated {
  const { error, drv, out, output } = (value ?? {}) as Record<string, unknown>;
  if (typeof error === 'string') return { kind: 'failed', message: error };
  const named =
    typeof drv === 'string' && isStorePath(drv) && typeof output === 'string' && /^[A-Za-z0-9_+.-]+$/.test(output);
  if (!named) return { kind: 'failed', message: 'config.system.build.toplevel is no derivation that Nix can build' };
  if (typeof out !== 'string' || !isStorePath(out)) {
    return {
      kind: 'failed',
      message:
        'the path of config.system.build.toplevel is only known once it is built (content-addressed); Floe does not handle that',
    };
  }
  return { kind: 'derivation', derivation: drv, output, path: out };
}
