// Budgets of a Rollout: how many machines of the namespace may be unavailable at once, whichever Rollout moves them.
import { type Static, Type } from 'typebox';
import { CountOrPercent, exactlyOneOf, LabelSelector } from './schema.ts';

/** A key of a label, with or without its prefix. */
export const LabelKey = (description: string) =>
  Type.String({
    description,
    minLength: 1,
    maxLength: 317,
    pattern: '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$',
  });

export const DisruptionBudget = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        description: 'Name for messages; default its place in the list, `budgets[0]`.',
        minLength: 1,
        maxLength: 63,
      }),
    ),
    selector: Type.Optional(
      LabelSelector('Machines of the namespace that it protects, of any NixConfig; default all of them.'),
    ),
    groupBy: Type.Optional(
      LabelKey(
        'Label by whose values the machines are parted: the budget holds for each group of one value by itself. Machines without the label are in no group, and outside of the budget.',
      ),
    ),
    maxUnavailable: Type.Optional(
      CountOrPercent(
        'How many machines of a group may be unavailable at once: a count, or a percentage of the group, rounded down, at least 1.',
      ),
    ),
    minAvailable: Type.Optional(
      CountOrPercent(
        'How many machines of a group must stay available: a count, or a percentage of the group, rounded up. A group that is no larger than that is never moved.',
      ),
    ),
  },
  {
    description:
      'How many machines may be unavailable at once. A machine is unavailable while it is offline, not healthy, being switched or restarting; one that was off before its go counts too.',
    'x-kubernetes-validations': [exactlyOneOf(['maxUnavailable', 'minAvailable'], 'spec.budgets[]')],
  },
);

export type DisruptionBudget = Static<typeof DisruptionBudget>;
