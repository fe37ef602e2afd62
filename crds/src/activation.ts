// How a closure is activated on a machine: `spec.activation` of NixMachine, and what of it the agent is told.
import { type Static, Type } from 'typebox';
import { consentFields } from './consent.ts';
import { DriftPolicy } from './drift.ts';
import { Generations } from './generations.ts';
import { HealthCheck } from './health-check.ts';
import { Duration, OneOf } from './schema.ts';

/** `spec.activation.reboot`. */
export const RebootPolicy = OneOf(
  ['Never', 'WhenRequired', 'InWindow'],
  'Who restarts the machine for a closure that only a reboot can start. `Never`: people; the closure waits for its boot. `WhenRequired`: the agent, at once, within its attempt. `InWindow`: the agent, once its Rollout allows it within a window. With the last two the attempt goes on after the boot: health checks, confirmation, and back with one more reboot where they fail.',
  'Never',
);

/** `spec.activation.confirm`. */
export const ConfirmPolicy = OneOf(
  ['Required', 'WhenOnline'],
  '`Required`: what Floe does not confirm over a new connection is undone. `WhenOnline`: where the machine had no route to anywhere before the switch and has none after it, its own checks suffice; for laptops.',
  'Required',
);

/** Name of a specialisation, as NixOS has it. */
export const SpecialisationName = Type.String({
  description:
    'Specialisation of the closure to run, a name below `specialisation` of the NixOS configuration. The next boot starts the closure without it. A change takes effect with the next order.',
  minLength: 1,
  maxLength: 128,
  pattern: '^[A-Za-z0-9_][A-Za-z0-9_.+-]*$',
});

const Rollback = Type.Object(
  {
    timeout: Type.Optional(
      Duration('Time limit of each run of switch-to-configuration on the way back; default `timeout` above.'),
    ),
    rebootAfter: Type.Optional(
      Duration(
        'A way back that did not bring the old closure is tried again until this long after it began; then the machine restarts, once, where its next boot starts the old closure. `0s`: restart after the first try.',
        '0s',
      ),
    ),
    degraded: Type.Optional(
      OneOf(
        ['RollBack', 'Keep'],
        'What becomes of a closure that runs, but with units that fail and had not failed before (exit codes 3 and 4). `Keep`: it is kept, and the units are named; `healthChecks` count all the same.',
        'RollBack',
      ),
    ),
  },
  { description: 'The way back from a closure that is not kept.' },
);

export const Activation = Type.Object(
  {
    mode: Type.Optional(
      OneOf(
        ['switch', 'boot', 'test'],
        '`switch`: run the new closure and boot it from now on; where the running system forbids a switch (`system.switch.inhibitors`) it becomes `boot`. `boot`: only boot it from now on. `test`: run it until the next boot.',
        'switch',
      ),
    ),
    reboot: Type.Optional(RebootPolicy),
    specialisation: Type.Optional(SpecialisationName),
    timeout: Type.Optional(Duration('Time limit of switch-to-configuration; beyond it the machine rolls back.', '10m')),
    confirm: Type.Optional(ConfirmPolicy),
    confirmTimeout: Type.Optional(
      Duration(
        'How long after its checks a machine tries to reach Floe over a new connection; beyond it the machine rolls back. Sleep does not count.',
        '2m',
      ),
    ),
    healthChecks: Type.Optional(
      Type.Array(HealthCheck, {
        description:
          'What must hold on the new closure before it is kept. One check is always made: no unit has failed that had not failed before.',
        maxItems: 32,
      }),
    ),
    rollback: Type.Optional(Rollback),
    ...consentFields,
    drift: Type.Optional(DriftPolicy),
    generations: Type.Optional(Generations),
  },
  { description: 'How a closure is activated on this machine.' },
);

/** What an order tells of the above beside mode, limits and checks. Absent fields have the defaults of the spec. */
export const activationOrderFields = {
  rebootPolicy: Type.Optional(RebootPolicy),
  confirmPolicy: Type.Optional(ConfirmPolicy),
  specialisation: Type.Optional(SpecialisationName),
  /** Limits of the way back in seconds. */
  rollbackTimeoutSeconds: Type.Optional(Type.Number({ minimum: 1, maximum: 86400 })),
  rollbackRebootAfterSeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 86400 })),
  keepDegraded: Type.Optional(Type.Boolean()),
  /** Why the order was given, as in `status.desired.reason`. `Retry` lets a closure be tried that failed here before. */
  reason: Type.Optional(Type.String({ maxLength: 64 })),
};

export type RebootPolicy = Static<typeof RebootPolicy>;
export type Activation = Static<typeof Activation>;
