// Evaluates the systems in chunks; a chunk that fails is split until the culprit stands alone.
import { isStorePath } from '@floe/crds/nix-fingerprint';

/** What one system evaluates to. */
export type Evaluated =
  | { readonly kind: 'derivation'; readonly derivation: string; readonly output: string; readonly path: string }
  | { readonly kind: 'failed'; readonly message: string };

/** How one evaluation of a range ended: a value for each system of it, or one failure for all of it. */
export type RangeResult =
  | { readonly kind: 'values'; readonly values: readonly Evaluated[] }
  | { readonly kind: 'failed'; readonly message: string };

/** The port that evaluates systems `from` (included) to `to` (not included). */
export type EvaluateRange = (from: number, to: number) => Promise<RangeResult>;

/** Reads what the wrapper's `evaluate` gave for `count` systems. */
export function parseEvaluated(text: string, count: number): RangeResult {
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

/**
 * Evaluates all systems, `size` at once. `onDone` hears how many are finished.
 * The result has one entry for each system, in order.
 */
export async function evaluateAll(
  count: number,
  size: number,
  ports: { evaluate: EvaluateRange; onDone: (done: number) => void },
): Promise<Evaluated[]> {
  const results: Evaluated[] = [];
  const ranges: [number, number][] = [];
  for (let from = 0; from < count; from += size) ranges.push([from, Math.min(from + size, count)]);
  for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
    const [from, to] = range;
    const result = await ports.evaluate(from, to);
    if (result.kind === 'values') results.push(...result.values);
    else if (to - from === 1) results.push({ kind: 'failed', message: result.message });
    else {
      const middle = from + Math.ceil((to - from) / 2);
      ranges.unshift([from, middle], [middle, to]);
      continue;
    }
    ports.onDone(results.length);
  }
  return results;
}
