// Consent of the people at a machine: what the spec asks for, what they answered, and what the agent is told of it.
import { type Static, Type } from 'typebox';
import { Duration, OneOf, Time } from './schema.ts';

/** Fields of `spec.activation`. */
export const consentFields = {
  consent: Type.Optional(
    OneOf(
      ['None', 'Ask'],
      '`Ask`: the machine fetches a new closure, then asks the people who use it, and switches when one of them says yes or `deferLimit` is over. Rollbacks and urgent changes do not ask.',
      'None',
    ),
  ),
  deferLimit: Type.Optional(
    Duration('With `consent: Ask`: how long after it was told to fetch a machine may wait for a yes.', '72h'),
  ),
};

/** `spec.owners`. */
export const Owners = Type.Array(
  Type.String({ description: 'A name or mail address.', minLength: 1, maxLength: 128 }),
  {
    description: 'Who answers for the machine. Named where it waits for people.',
    maxItems: 16,
  },
);

const fields = {
  desiredId: Type.String({ description: 'The `desired.id` that was asked about.', maxLength: 64 }),
  state: OneOf(
    ['Asked', 'Approved', 'Deferred'],
    '`Asked`: nobody has answered. `Approved`: it may switch. `Deferred`: not now.',
  ),
  until: Type.Optional(Time('With `Deferred`: when it asks again. The limit of the spec counts all the same.')),
  at: Time('When that was said, by the clock of the machine.'),
};

/** `status.consent`, and what the agent reports. */
export const ConsentStatus = Type.Object(fields, {
  description: 'What the people at the machine said to the newest change that it asked them about.',
});

/** In `desired`: the machine is to ask its people, who may put it off until then. */
export const ConsentQuestion = Type.Object({ until: Time('When the machine switches without a yes.') });

export type ConsentStatus = Static<typeof ConsentStatus>;
export type ConsentQuestion = Static<typeof ConsentQuestion>;
