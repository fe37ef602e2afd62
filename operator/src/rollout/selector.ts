// Label selectors: whether a machine's labels match.
import type { RolloutSpec } from '@floe/crds/rollout';

export type LabelSelector = NonNullable<RolloutSpec['selector']>;
type Expression = NonNullable<LabelSelector['matchExpressions']>[number];

/** Whether labels match a selector, as in apps/v1; an absent or empty selector matches everything. */
export function matches(selector: LabelSelector | undefined, labels: Readonly<Record<string, string>> | undefined) {
  if (selector === undefined) return true;
  const wanted = Object.entries(selector.matchLabels ?? {});
  return (
    wanted.every(([key, value]) => labelOf(labels, key) === value) &&
    (selector.matchExpressions ?? []).every((expression) => holds(expression, labelOf(labels, expression.key)))
  );
}

function labelOf(labels: Readonly<Record<string, string>> | undefined, key: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function holds({ operator, values }: Expression, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && (values ?? []).includes(value);
    case 'NotIn':
      return value === undefined || !(values ?? []).includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      // An operator that this version does not know selects nobody: rather still than wrong.
      return false;
  }
}
