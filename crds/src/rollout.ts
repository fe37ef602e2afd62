// The kind Rollout: how a revision reaches machines.
import { type Static, Type } from 'typebox';
import { AnalysisStatus, AnalysisStep, BackgroundAnalysis } from './analysis.ts';
import { DisruptionBudget, LabelKey } from './budget.ts';
import type { ObjectMeta } from './object-meta.ts';
import { Freezes, Progress, Urgent, Waiting, Windows } from './rollout-window.ts';
import {
  Conditions,
  CountOrPercent,
  Duration,
  exactlyOneOf,
  type KindSchema,
  LabelSelector,
  LastHandled,
  ObjectName,
  ObservedGeneration,
  OneOf,
  RevisionId,
  Time,
  UNSEEN,
} from './schema.ts';

export const Batch = Type.Object(
  {
    size: Type.Optional(
      CountOrPercent(
        'How many: a count is that many more machines, a percentage is of all that match `selector`, counting those that already have the revision. A share is rounded to the nearest integer, half up; it takes at least one machine, and below 100 % it leaves at least one where there are two or more. Default all that match.',
      ),
    ),
    selector: Type.Optional(LabelSelector('Machines that the batch takes from; default all of the Rollout.')),
    soak: Type.Optional(
      Duration(
        'A machine counts as updated when it has stayed healthy for so long since it began to run the closure, whichever run ordered it; one that turns bad in that time failed. It holds its batch, not its slot: see `minReadySeconds`.',
        '0s',
      ),
    ),
  },
  {
    description: 'Bring the revision to some machines.',
    'x-kubernetes-validations': [
      { rule: 'has(self.size) || has(self.selector)', message: 'spec.steps[].batch: set size, selector or both' },
    ],
  },
);

export const Pause = Type.Object(
  { duration: Type.Optional(Duration('How long; without it until someone approves.')) },
  { description: 'Wait for a time, or, when empty, until someone approves.' },
);

export const Step = Type.Object(
  { batch: Type.Optional(Batch), pause: Type.Optional(Pause), analysis: Type.Optional(AnalysisStep) },
  { 'x-kubernetes-validations': [exactlyOneOf(['batch', 'pause', 'analysis'], 'spec.steps[]')] },
);

export const RolloutSpec = Type.Object(
  {
    configRef: Type.Object(
      { name: ObjectName('Name of the NixConfig, in the namespace of the Rollout.') },
      {
        description: 'The NixConfig whose revisions this Rollout brings to machines.',
        'x-kubernetes-validations': [
          { rule: 'self.name == oldSelf.name', message: 'spec.configRef is immutable: make another Rollout instead' },
        ],
      },
    ),
    selector: Type.Optional(LabelSelector('Machines of the config that this Rollout moves; default all of them.')),
    steps: Type.Optional(
      Type.Array(Step, {
        description:
          'What happens in order. Without steps there is one batch of all; where the steps end before everyone has the revision, one last batch takes the rest.',
        maxItems: 64,
      }),
    ),
    maxUnavailable: Type.Optional(
      CountOrPercent(
        'How many machines may be unavailable at once: a count, or a percentage of all selected machines, rounded down, at least 1.',
        '10%',
      ),
    ),
    budgets: Type.Optional(
      Type.Array(DisruptionBudget, {
        description:
          'Budgets over all machines of the namespace, whichever Rollout moves them. Every Rollout of the namespace keeps to the budgets of all, rollbacks included.',
        maxItems: 16,
      }),
    ),
    maxRebooting: Type.Optional(
      CountOrPercent(
        'How many machines may restart at once: a count, or a percentage of all machines of the namespace, rounded down, at least 1. Default no limit of its own.',
      ),
    ),
    order: Type.Optional(
      Type.Object(
        { label: LabelKey('Label whose values are kept together, machines without it last.') },
        {
          description:
            'In which order machines have their turn: by the value of a label, then by a hash of rollout and machine name. Default the label `topology.kubernetes.io/zone`.',
        },
      ),
    ),
    dependsOn: Type.Optional(
      Type.Array(Type.Object({ name: ObjectName('Name of a Rollout in this namespace, another than this one.') }), {
        description:
          'Rollouts that go first: nobody is told before each of them is completed with the newest revision that is built of its config. Rollbacks do not wait.',
        maxItems: 16,
      }),
    ),
    successThreshold: Type.Optional(
      Type.Integer({
        description: 'Percentage of a batch that must succeed; a batch that ends below it does not advance.',
        default: 100,
        minimum: 0,
        maximum: 100,
      }),
    ),
    machineTimeout: Type.Optional(
      Duration(
        'How long a machine may take from its go until it is done; beyond it the machine failed. Time in which its windows are closed does not count.',
        '30m',
      ),
    ),
    minReadySeconds: Type.Optional(
      Type.Integer({
        description:
          'A machine that began to run another closure keeps its slot of `maxUnavailable` until it has been online and healthy for so many seconds, as with a Deployment. One that goes off in that time keeps it, too. Does not extend `machineTimeout`, and does not count in rollbacks.',
        default: 0,
        minimum: 0,
        maximum: 31_536_000,
      }),
    ),
    progressDeadline: Type.Optional(
      Duration(
        'The run fails, as when a threshold is missed, once no machine got further for so long although one could have: one was switching or fetching, or was waiting for its turn. Pauses, soaks, closed windows, freezes and machines that are off or on hold do not count. Default no limit.',
      ),
    ),
    windows: Type.Optional(Windows),
    freezes: Type.Optional(Freezes),
    offline: Type.Optional(
      OneOf(
        ['Wait', 'Skip'],
        '`Wait`: the run stays open until machines that are off have come back. `Skip`: it completes without them, and they follow by themselves.',
        'Wait',
      ),
    ),
    onFailure: Type.Optional(
      OneOf(
        ['Pause', 'Rollback', 'Continue'],
        'When a threshold is missed. `Pause`: tell nobody else and wait for a person. `Rollback`: return failed and updated machines to the stable revision. `Continue`: count and report it, and go on once the batch has ended.',
        'Pause',
      ),
    ),
    analysis: Type.Optional(BackgroundAnalysis),
    suspend: Type.Optional(Type.Boolean({ description: 'Tell nobody anything while true.', default: false })),
    historyLimit: Type.Optional(
      Type.Integer({ description: 'Ended runs that are kept in the status.', default: 10, minimum: 0, maximum: 50 }),
    ),
  },
  { description: 'How a revision reaches machines.' },
);

const count = (description: string) => Type.Integer({ description });

export const Counts = Type.Object(
  {
    total: count('Machines that are selected.'),
    updated: count('Machines that have the revision.'),
    updating: count('Machines that got their go and are not done, or soak.'),
    failed: count('Machines on which it failed.'),
    offline: count('Machines that are not connected.'),
    pending: count('Machines that got no go yet; those that only fetch are among them.'),
    unavailable: count('Machines that take a slot of the budget.'),
    notBuilt: count('Machines without a closure in the revision.'),
    pendingReboot: count('Machines that have it at their next boot only.'),
  },
  { description: 'The selected machines, counted.' },
);

/** Phases of a Rollout. */
export const ROLLOUT_PHASES = ['Idle', 'Progressing', 'Paused', 'RollingBack', 'Completed', 'Failed'] as const;

export const RolloutStatus = Type.Object(
  {
    observedGeneration: ObservedGeneration,
    conditions: Type.Optional(Conditions),
    lastHandled: LastHandled,
    revision: Type.Optional(RevisionId('The revision that the run brings, or brought.')),
    stableRevision: Type.Optional(RevisionId('The last revision that a run completed with.')),
    run: Type.Optional(Type.String({ description: 'Id of the run.', maxLength: 64 })),
    startedAt: Type.Optional(Time('When the run started.')),
    estimatedEnd: Type.Optional(
      Time(
        'When the run will end, probably: from its steps, the budget, windows and what machines took so far. Machines that are off or on hold are not waited for. Absent where it has ended or waits for a person.',
      ),
    ),
    phase: Type.Optional(
      OneOf(
        ROLLOUT_PHASES,
        'Where the run stands. A run that is complete is `Progressing` again while machines follow: after a retry, as joiners, on their return.',
      ),
    ),
    completedAt: Type.Optional(
      Time('When the run completed; absent where it has not. It stays while machines follow after the end.'),
    ),
    step: Type.Optional(
      Type.Object(
        {
          index: Type.Integer({ description: 'The step in hand, counted from 0.' }),
          total: Type.Integer({ description: 'Steps in all, the last batch of the rest included.' }),
          startedAt: Type.Optional(Time('When it began.')),
          column: Type.Optional(Type.String({ description: '`2/5`, for the column; counted from 1.', maxLength: 16 })),
          size: Type.Optional(
            Type.Integer({
              description: 'Machines that the batch takes, fixed when it began; absent where it takes the rest.',
            }),
          ),
          toldBefore: Type.Optional(
            Type.Integer({ description: 'Machines that were told the revision before the batch began.' }),
          ),
          failedBefore: Type.Optional(
            Type.Integer({ description: 'Machines of those that had failed before the batch began.' }),
          ),
          accepted: Type.Optional(
            Type.Integer({ description: 'Failures of the batch that a person accepted with `continue`.' }),
          ),
        },
        { description: 'The step in hand.' },
      ),
    ),
    counts: Type.Optional(Counts),
    updated: Type.Optional(Type.String({ description: '`updated/total`, for the column.', maxLength: 32 })),
    failures: Type.Optional(
      Type.Array(
        Type.Object({
          machine: Type.String({ description: 'Name of the NixMachine.', maxLength: 253 }),
          message: Type.String({ description: 'What happened there.', maxLength: 1024 }),
          at: Type.Optional(Time('When.')),
        }),
        { description: 'The first ten machines on which it failed, and why.', maxItems: 10 },
      ),
    ),
    history: Type.Optional(
      Type.Array(
        Type.Object({
          run: Type.String({ description: 'Id of the run.', maxLength: 64 }),
          revision: RevisionId('The revision that it brought.'),
          outcome: OneOf(['Completed', 'Failed', 'Aborted', 'Superseded', 'RolledBack'], 'How it ended.'),
          startedAt: Time('When it started.'),
          endedAt: Time('When it ended.'),
          totalSeconds: Type.Optional(Type.Integer({ description: 'Seconds from start to end.' })),
          progressingSeconds: Type.Optional(
            Type.Integer({ description: 'Seconds of it that were not paused; total = progressing + paused.' }),
          ),
          pausedSeconds: Type.Optional(
            Type.Integer({
              description:
                'Seconds of it in which the run waited by its own plan: in pauses, suspended, for a window to open or a freeze to end, and stopped until a person let it go on.',
            }),
          ),
        }),
        { description: 'Runs that ended, newest first.', maxItems: 50 },
      ),
    ),
    stopped: Type.Optional(
      Type.Object(
        {
          reason: OneOf(['Failed', 'Aborted', 'RolledBack'], 'What ended it.'),
          message: Type.String({ description: 'A sentence for people.', maxLength: 1024 }),
          at: Time('When.'),
        },
        { description: 'Why the run tells nobody else; absent while it goes on.' },
      ),
    ),
    rollback: Type.Optional(
      Type.Object(
        {
          to: Type.Optional(RevisionId('Revision that machines return to; absent: each to what it ran before.')),
          startedAt: Time('When it began.'),
        },
        { description: 'The rollback of the run, in hand or done.' },
      ),
    ),
    retry: Type.Optional(
      Type.Object(
        {
          count: Type.Integer({ description: 'How often a person asked to retry in this run.' }),
          at: Time('When they did last.'),
        },
        { description: 'Retries of the run.' },
      ),
    ),
    unconfirmed: Type.Optional(
      Type.Array(
        Type.Object({
          machine: Type.String({ description: 'Name of the NixMachine.', maxLength: 253 }),
          order: Type.String({ description: 'Which order of its ended without confirmation.', maxLength: 128 }),
          times: Type.Integer({ description: 'How often it was told again by itself, with the order that follows.' }),
        }),
        {
          description:
            'Machines that were told again for want of confirmation, where the id of their order does not say how often; ten at most.',
          maxItems: 10,
        },
      ),
    ),
    promoted: Type.Optional(
      Type.Boolean({ description: 'Whether a person sent the run straight to its last batch; absent: no.' }),
    ),
    orders: Type.Optional(
      Type.Array(
        Type.Object({
          verb: Type.String({ description: 'What was ordered: approve, retry and the like.', maxLength: 32 }),
          value: Type.String({ description: 'Value of the annotation.', maxLength: 256 }),
          by: Type.Optional(
            Type.String({
              description:
                'Who gave it: as the annotation `floe.dev/by` says, else the field manager of the annotation. As told by the client; the audit log of the API server has the proof.',
              maxLength: 256,
            }),
          ),
          at: Time('When it was carried out.'),
        }),
        { description: 'The last ten orders of people, newest first; `reconcile` is not among them.', maxItems: 10 },
      ),
    ),
    skipped: Type.Optional(
      Type.Object(
        {
          count: Type.Integer({ description: 'Machines that were off when the run completed and do not have it yet.' }),
          machines: Type.Optional(
            Type.Array(Type.String({ maxLength: 253 }), {
              description: 'The first ten of them, by name.',
              maxItems: 10,
            }),
          ),
          returned: Type.Integer({ description: 'Machines that got it after the run had completed without them.' }),
          last: Type.Optional(
            Type.Array(
              Type.Object({
                machine: Type.String({ description: 'Name of the NixMachine.', maxLength: 253 }),
                at: Time('When it was told.'),
              }),
              { description: 'The last ten of those, newest first.', maxItems: 10 },
            ),
          ),
        },
        { description: 'With `offline: Skip`, once the run is complete: who was passed over, and who returned.' },
      ),
    ),
    pausedSeconds: Type.Optional(
      Type.Integer({ description: 'Seconds that the run has spent in pauses, closed windows and freezes that ended.' }),
    ),
    nextChange: Type.Optional(
      Time(
        'When time alone leads on: a pause, a soak, a hold or a freeze ends, or a window opens. Absent where nothing of that is awaited.',
      ),
    ),
    waiting: Type.Optional(Waiting),
    progress: Type.Optional(Progress),
    urgent: Type.Optional(Urgent),
    analysis: Type.Optional(AnalysisStatus),
    stepsHash: Type.Optional(
      Type.String({ description: 'Hash of the steps that the run goes by; a change starts them anew.', maxLength: 64 }),
    ),
  },
  { description: 'Where the run stands. Written by Floe; nothing in it grows with the fleet.', default: UNSEEN },
);

/** The kind as the generator reads it. */
export const rolloutKind: KindSchema = {
  kind: 'Rollout',
  plural: 'rollouts',
  singular: 'rollout',
  shortNames: ['nro'],
  description:
    'A Rollout says how revisions of a NixConfig reach its machines. It lives long, like a Deployment: each new revision starts a new run.',
  columns: [
    { name: 'Revision', type: 'string', jsonPath: '.status.revision', description: 'The revision of the run.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where the run stands.' },
    { name: 'Step', type: 'string', jsonPath: '.status.step.column', description: 'The step in hand.' },
    { name: 'Updated', type: 'string', jsonPath: '.status.updated', description: 'Machines that have it, of all.' },
    { name: 'Failed', type: 'integer', jsonPath: '.status.counts.failed', description: 'Machines on which it failed.' },
    {
      name: 'Status',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].message',
      description: 'What is going on, in words.',
    },
    {
      name: 'Since',
      type: 'date',
      jsonPath: '.status.conditions[?(@.type=="Ready")].lastTransitionTime',
      description: 'Since when it is ready, or not.',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Age of the object.' },
  ],
  spec: RolloutSpec,
  status: RolloutStatus,
};

export type Step = Static<typeof Step>;
export type Batch = Static<typeof Batch>;
export type Counts = Static<typeof Counts>;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];
export type RolloutSpec = Static<typeof RolloutSpec>;
export type RolloutStatus = Static<typeof RolloutStatus>;
export type Rollout = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: RolloutSpec;
  status?: RolloutStatus;
};
