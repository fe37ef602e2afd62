// An attempt that is over, briefly: one line of `status.attempts`.
import { type Static, Type } from 'typebox';
import { RevisionId, Time } from './schema.ts';

/** Attempts that a machine remembers and reports. */
export const PastAttempt = Type.Object({
  desiredId: Type.String({ description: 'The `desired.id`, or the `--attempt` of `floe-agent apply`.', maxLength: 64 }),
  local: Type.Optional(Type.Boolean({ description: 'True where root on the machine asked for it.' })),
  revision: Type.Optional(RevisionId('Revision of the new closure.')),
  from: Type.Optional(Type.String({ description: 'Closure that ran before.', maxLength: 512 })),
  to: Type.String({ description: 'Closure that it was to bring.', maxLength: 512 }),
  phase: Type.String({ description: 'How it ended.', maxLength: 32 }),
  exitCode: Type.Optional(Type.Integer({ description: 'Exit code of switch-to-configuration.' })),
  message: Type.Optional(Type.String({ description: 'What happened, the first 200 characters.', maxLength: 256 })),
  phases: Type.Optional(
    Type.Array(
      Type.Object({
        phase: Type.String({ description: 'Phase.', maxLength: 32 }),
        at: Time('When it began, by the clock of the machine.'),
      }),
      { description: 'Its phases, the first 16.', maxItems: 16 },
    ),
  ),
  startedAt: Type.Optional(Time('When it began.')),
  finishedAt: Type.Optional(Time('When it ended.')),
});

export const PastAttempts = Type.Array(PastAttempt, {
  description:
    'The last ten attempts that are over, newest first, as the machine itself remembers them; they survive a lost etcd.',
  maxItems: 10,
});

export type PastAttempt = Static<typeof PastAttempt>;
