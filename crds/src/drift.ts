// Drift and break-glass: what a machine runs or boots beside what Floe brought it, why, and whether that is left alone.
import { type Static, Type } from 'typebox';
import { DRIFT_CAUSES, DRIFT_STATES } from './drift-words.ts';
import { OneOf, Time } from './schema.ts';

/** `spec.activation.drift`. */
export const DriftPolicy = OneOf(
  ['Report', 'Revert'],
  'What is done when something else than Floe changes what the machine runs or boots. `Report`: say so, hands off. `Revert`: go back to what was kept last, three times within an hour at most.',
  'Report',
);

/** `status.drift`, as the agent reports it. */
export const Drift = Type.Object(
  {
    cause: Type.String({ description: `What happened: ${DRIFT_CAUSES.join(', ')}.`, maxLength: 64 }),
    since: Time('When it was noticed.'),
    found: Type.Optional(
      Type.String({ description: 'Closure that was found in place of the one that was kept last.', maxLength: 512 }),
    ),
    expected: Type.Optional(
      Type.String({ description: 'Closure that was kept last, by Floe or by hand.', maxLength: 512 }),
    ),
    state: Type.String({
      description: `What is done about it: ${DRIFT_STATES.join(', ')}. \`Fights\`: it was put back three times within an hour and changed again; it is left alone now.`,
      maxLength: 64,
    }),
  },
  { description: 'Something else than Floe changed what the machine runs or boots. Absent: nothing did.' },
);

/** `status.held`, as the agent reports it. */
export const Held = Type.Object(
  {
    closure: Type.String({ description: 'Closure that was activated by hand.', maxLength: 512 }),
    since: Time('When.'),
    by: Type.Optional(Type.String({ description: 'Who did it, as far as the machine knows.', maxLength: 64 })),
  },
  {
    description:
      'Root on the machine activated a closure with `floe-agent apply`. It stays until a newer order or `floe-agent release`.',
  },
);

export type DriftPolicy = Static<typeof DriftPolicy>;
export type Drift = Static<typeof Drift>;
export type Held = Static<typeof Held>;
