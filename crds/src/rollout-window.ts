// When machines of a Rollout may move: windows that come back, freezes that come once.
import { type Static, Type } from 'typebox';

import { Duration, OneOf, Time } from './schema.ts';
import { DEFAULT_WINDOW_ACTIONS, WINDOW_ACTIONS } from './window-action.ts';

export const Window = Type.Object(
  {
    cron: Type.String({
      description:
        'When it begins, five fields as in crontab: minute, hour, day of month, month, day of week. Where both day fields are restricted, a day that fits either will do. A start in the hour that spring skips moves forward by the gap; a start in the hour that autumn repeats fires once, the first time.',
      minLength: 9,
      maxLength: 256,
    }),
    duration: Duration(
      'How long it stays open, in time that really passes, at most 366 days; the end no longer belongs to it.',
    ),
    timeZone: Type.Optional(
      Type.String({
        description:
          "Zone of `cron`: a name of the IANA data base, `Europe/Berlin`, or `Machine` for each machine's own `spec.timeZone`.",
        default: 'UTC',
        minLength: 1,
        maxLength: 64,
      }),
    ),
    actions: Type.Optional(
      Type.Array(OneOf(WINDOW_ACTIONS, 'One action.'), {
        description:
          'What machines may do in it: `Download` closures, `Switch` to them, `Reboot`. An action that no window names is free at any time.',
        default: [...DEFAULT_WINDOW_ACTIONS],
        minItems: 1,
        maxItems: 3,
      }),
    ),
  },
  { description: 'A time in which machines may move.' },
);

export const Windows = Type.Array(Window, {
  description:
    'When machines may move; several windows of one action add up. Where the switch has its window, machines fetch before it opens. Rollbacks ignore windows, and so does the annotation `floe.dev/urgent`.',
  maxItems: 32,
});

export const Freeze = Type.Object(
  {
    from: Time('When it begins.'),
    to: Time('When it ends; this moment no longer belongs to it.'),
    reason: Type.String({ description: 'Why, for the people who look.', minLength: 1, maxLength: 256 }),
  },
  { description: 'A time in which nobody is told anything.' },
);

export const Freezes = Type.Array(Freeze, {
  description:
    'Times in which nobody is told anything, not even to fetch. Rollbacks go on; the annotation `floe.dev/urgent` passes them.',
  maxItems: 64,
});

/** What the run as a whole waits for. */
export const Waiting = Type.Object(
  {
    reason: OneOf(
      ['OutsideWindow', 'Frozen', 'Suspended'],
      '`OutsideWindow`: everyone whose turn it is waits for a window. `Frozen`: for the end of a freeze. `Suspended`: for `spec.suspend` to end.',
    ),
    since: Time('When it began to wait.'),
    until: Type.Optional(Time('When time alone ends it.')),
  },
  { description: 'What the run as a whole waits for at the moment; counted as paused. Absent while it moves.' },
);

/** The clock of `spec.progressDeadline`. */
export const Progress = Type.Object(
  {
    since: Type.Optional(
      Time(
        'From when it counts, where that is later than what machines did last: since somebody could get further again.',
      ),
    ),
    idle: Type.Optional(Type.Boolean({ description: 'True while nobody can get further; it stands still then.' })),
  },
  { description: 'The clock of `spec.progressDeadline`; absent where there is nothing to remember.' },
);

/** The order to hurry. */
export const Urgent = Type.Object(
  {
    at: Time('Since when.'),
    by: Type.Optional(Type.String({ description: 'Who asked for it, by their own word.', maxLength: 253 })),
  },
  {
    description:
      'The run passes windows, freezes and the consent of users, for the annotation `floe.dev/urgent`. It ends with the run.',
  },
);

export type Window = Static<typeof Window>;
export type Freeze = Static<typeof Freeze>;
