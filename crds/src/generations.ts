// How many generations of the system a machine keeps: what its boot menu offers, and what fills its disk.
import { type Static, Type } from 'typebox';
import { Duration } from './schema.ts';

/** `spec.activation.generations`. */
export const Generations = Type.Object(
  {
    keep: Type.Optional(
      Type.Integer({
        description: 'The newest so many are kept; default 3 where `maxAge` is set.',
        minimum: 1,
        maximum: 1000,
      }),
    ),
    maxAge: Type.Optional(Duration('Those younger than this are kept, too: `720h` for 30 days.')),
  },
  {
    description:
      "Which generations of the system profile stay when a closure is kept; the others are removed just before the boot menu is written. Never removed: what runs, was booted, boots next, or is the way back. Default: the machine's own `services.floe-agent.generations`, which removes none.",
    'x-kubernetes-validations': [
      {
        rule: 'has(self.keep) || has(self.maxAge)',
        message: 'spec.activation.generations: set keep, maxAge or both',
      },
    ],
  },
);

/** The same in an order: seconds. */
export const GenerationsMessage = Type.Object({
  keep: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  maxAgeSeconds: Type.Optional(Type.Number({ minimum: 0 })),
});

export type Generations = Static<typeof Generations>;
export type GenerationsMessage = Static<typeof GenerationsMessage>;
