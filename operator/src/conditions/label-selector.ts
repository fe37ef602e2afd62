// Label selectors as in apps/v1: whether labels match.
import type { RolloutSpec } from '@floe/crds/rollout';

export type LabelSelector = NonNullable<RolloutSpec['selector']>;
type Labels = Readonly<Record<string, string>>;

/** Whether labels match; an absent or empty selector takes everything, an operator of tomorrow nothing. */
export function selects(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  const value = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  for (const [key, wanted] of Object.entries(selector?.matchLabels ?? {})) if (value(key) !== wanted) return false;
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const found = value(key);
    const listed = found !== undefined && values.includes(found);
    const answers: Readonly<Record<string, boolean>> = {
      In: listed,
      NotIn: !listed,
      Exists: found !== undefined,
      DoesNotExist: found === undefined,
    };
    return answers[operator] ?? false;
  });
}
