// The kind NixMachine: one machine, what it should run and what it does run.
import { type Static, type TProperties, Type } from 'typebox';
import { Activation } from './activation.ts';
import { ATTEMPT_PHASES } from './attempt-phase.ts';
import { ConsentStatus, Owners } from './consent.ts';
import { Drift, Held } from './drift.ts';
import { CheckResult } from './health-check.ts';
import type { ObjectMeta } from './object-meta.ts';
import { PastAttempts } from './past-attempt.ts';
import { PendingKey as PendingKeySchema } from './pending-key.ts';
import {
  Conditions,
  type KindSchema,
  LastHandled,
  ObjectName,
  ObservedGeneration,
  OneOf,
  RevisionId,
  Time,
  UNSEEN,
} from './schema.ts';
import { MachineSecrets, SecretsStatus } from './secrets.ts';
import { SSH_RULES, Target } from './target.ts';

export const NixMachineSpec = Type.Object(
  {
    configRef: Type.Object(
      { name: ObjectName('Name of the NixConfig, in the namespace of the machine.') },
      { description: 'The NixConfig that says what this machine runs.' },
    ),
    hostName: Type.Optional(
      Type.String({
        description: "What `{machine}` in the config's attribute means; default the name of this object.",
        minLength: 1,
        maxLength: 253,
      }),
    ),
    timeZone: Type.Optional(
      Type.String({
        description:
          'Where the machine is: a name of the IANA data base, `Europe/Berlin`. Windows with `timeZone: Machine` go by it.',
        default: 'UTC',
        minLength: 1,
        maxLength: 64,
      }),
    ),
    identity: Type.Optional(
      Type.Object(
        {
          sshHostKey: Type.String({
            description: "Public half of the machine's SSH host key: the text of /etc/ssh/ssh_host_ed25519_key.pub.",
            minLength: 1,
            maxLength: 1024,
            pattern: '^ssh-ed25519 [A-Za-z0-9+/=]+( .*)?$',
          }),
        },
        { description: 'Who this machine is. Without it no agent is let in under this name.' },
      ),
    ),
    target: Type.Optional(Target),
    activation: Type.Optional(Activation),
    owners: Type.Optional(Owners),
    secrets: Type.Optional(MachineSecrets),
    presence: Type.Optional(
      OneOf(
        ['Full', 'Coarse'],
        '`Full`: the status says when the machine came and went. `Coarse`: it says whether it is connected, and the day since when; no time of day, and no `lastSeen`.',
        'Full',
      ),
    ),
    hold: Type.Optional(
      Type.Object(
        {
          reason: Type.String({ description: 'Why, for the people who look.', minLength: 1, maxLength: 256 }),
          until: Type.Optional(Time('When the hold ends by itself; without it, when it is removed.')),
        },
        { description: 'Leave this machine alone.' },
      ),
    ),
  },
  { description: 'What the machine should be.', 'x-kubernetes-validations': [...SSH_RULES] },
);

/** A closure and the revision it belongs to. */
const Running = <More extends TProperties>(description: string, more: More) =>
  Type.Object(
    {
      closure: Type.String({ description: 'Store path of the closure.', maxLength: 512 }),
      revision: Type.Optional(RevisionId('Revision that it was built for, where Floe knows it.')),
      verified: Type.Optional(
        Type.Boolean({ description: 'False where it was concluded, not read from the boot loader itself.' }),
      ),
      specialisation: Type.Optional(
        Type.String({ description: 'The specialisation of the closure, where it is one.', maxLength: 128 }),
      ),
      ...more,
    },
    { description },
  );

const CurrentSince = Time(
  'When it began to run this closure, by the clock of the hub that heard of it; reboots and reconnects do not change it. Absent where no hub saw it change. Soaks count from then.',
);

export const Attempt = Type.Object(
  {
    desiredId: Type.String({ description: 'The `desired.id` that it carries out.', maxLength: 64 }),
    revision: Type.Optional(RevisionId('Revision of the new closure.')),
    from: Type.Optional(Type.String({ description: 'Closure that ran before.', maxLength: 512 })),
    to: Type.String({ description: 'Closure that it brings.', maxLength: 512 }),
    phase: Type.String({
      description: `How far it is: ${ATTEMPT_PHASES.join(', ')}.`,
      maxLength: 32,
    }),
    exitCode: Type.Optional(Type.Integer({ description: 'Exit code of switch-to-configuration.' })),
    failedUnits: Type.Optional(
      Type.Array(Type.String({ maxLength: 256 }), {
        description: 'Units that failed on the new closure and had not failed before.',
        maxItems: 16,
      }),
    ),
    checks: Type.Optional(Type.Array(CheckResult, { description: 'What each health check came to.', maxItems: 33 })),
    message: Type.Optional(Type.String({ description: 'What happened, in words.', maxLength: 2048 })),
    startedAt: Type.Optional(Time('When it began.')),
    finishedAt: Type.Optional(Time('When it ended.')),
  },
  { description: 'The attempt in hand, or the last one.' },
);

export const NixMachineStatus = Type.Object(
  {
    observedGeneration: ObservedGeneration,
    conditions: Type.Optional(Conditions),
    lastHandled: LastHandled,
    desired: Type.Optional(
      Type.Object(
        {
          id: Type.String({ description: 'Id of this order; the agent keys its journal by it.', maxLength: 64 }),
          sequence: Type.Integer({
            description: 'Only rises; an agent refuses a lower one than it has seen.',
            format: 'int64',
          }),
          revision: RevisionId('Revision of the closure.'),
          closure: Type.String({ description: 'Store path of the closure to run.', maxLength: 512 }),
          rollout: Type.Optional(Type.String({ description: 'Rollout that gave the order.', maxLength: 253 })),
          run: Type.Optional(Type.String({ description: 'Run of the Rollout.', maxLength: 64 })),
          reason: Type.String({ description: 'Why: Rollout, Joined, Rollback, Retry or Immediate.', maxLength: 64 }),
          go: Type.Boolean({ description: 'False: fetch only. True: switch.' }),
          since: Time('When it was told so.'),
          reboot: Type.Optional(
            Type.Boolean({
              description: 'True: it may restart now, where the closure needs it. Default false.',
            }),
          ),
          rebootSince: Type.Optional(Time('When it was told that it may restart, where that came after its go.')),
        },
        { description: 'What the machine is told to run.' },
      ),
    ),
    current: Type.Optional(Running('What runs: /run/current-system.', { since: Type.Optional(CurrentSince) })),
    booted: Type.Optional(Running('What was booted: /run/booted-system.', {})),
    bootDefault: Type.Optional(Running('What the next boot starts.', {})),
    attempt: Type.Optional(Attempt),
    attempts: Type.Optional(PastAttempts),
    waiting: Type.Optional(
      Type.Object(
        {
          reason: Type.String({ description: 'One word in CamelCase for programs.', maxLength: 64 }),
          message: Type.String({ description: 'A sentence for people.', maxLength: 1024 }),
          since: Time('Since when.'),
        },
        { description: 'Why it does not move, where the reason is its own.' },
      ),
    ),
    consent: Type.Optional(ConsentStatus),
    secrets: Type.Optional(SecretsStatus),
    connection: Type.Optional(
      Type.Object(
        {
          online: Type.Boolean({
            description: 'Whether its agent is connected; with `target.ssh` whether the last contact went well.',
          }),
          since: Time('Since when it is online, or not.'),
          lastSeen: Type.Optional(Time('When it was heard of last, as of the last write.')),
          replica: Type.Optional(
            Type.String({
              description: 'Replica of the operator that it is connected to, or that reached it.',
              maxLength: 253,
            }),
          ),
          fault: Type.Optional(
            Type.Object(
              {
                reason: Type.String({
                  description:
                    'One word for programs: WrongKey, NoIdentity, DuplicateKey, WrongHost, UnsupportedVersion, ReportRefused, LoginRefused, NoPrivateKey, Unreachable, AgentRuns, InvalidSpec; others may come.',
                  maxLength: 64,
                }),
                message: Type.String({ description: 'A sentence for people.', maxLength: 1024 }),
              },
              {
                description:
                  'Why the hub does not let its agent in, or, with `target.ssh`, why the operator did not reach it; gone once it is online; or why its reports are not stored.',
              },
            ),
          ),
          comebacks: Type.Optional(
            Type.Object(
              {
                desiredId: Type.String({ description: 'The attempt that ended before.', maxLength: 64 }),
                count: Type.Integer({ description: 'How often it was gone and came back since.' }),
              },
              { description: 'How well it has held its connection since its last attempt.' },
            ),
          ),
        },
        { description: 'Its connection to the hub.' },
      ),
    ),
    agent: Type.Optional(
      Type.Object(
        {
          version: Type.String({ description: 'Version of the agent that runs.', maxLength: 64 }),
          running: Type.Optional(Type.String({ description: 'Store path of the agent that runs.', maxLength: 512 })),
          expected: Type.Optional(
            Type.String({
              description:
                'Store path of the agent that the running system brings; another than `running` is the condition `AgentOutdated`.',
              maxLength: 512,
            }),
          ),
          accepted: Type.Optional(
            Type.Integer({
              description:
                'Highest sequence that the machine has accepted, where it is above that of `desired` or more than a day ahead of the clock: the next order goes beyond it.',
              format: 'int64',
            }),
          ),
          refused: Type.Optional(
            Type.Object(
              {
                desiredId: Type.String({ description: 'Id of the order.', maxLength: 64 }),
                message: Type.String({ description: 'Why, and what to do.', maxLength: 512 }),
              },
              { description: 'An order that the machine has refused to take.' },
            ),
          ),
        },
        { description: 'The agent on the machine.' },
      ),
    ),
    pendingKey: Type.Optional(PendingKeySchema),
    facts: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 256 }), {
        description: 'What the machine says of itself: `system`, `kernel`, `nix` and the like.',
        maxProperties: 16,
      }),
    ),
    reboot: Type.Optional(
      Type.Object(
        {
          required: Type.Boolean({ description: 'Whether what it should run needs a reboot.' }),
          reasons: Type.Optional(
            Type.Array(Type.String({ maxLength: 256 }), {
              description:
                'Parts that differ from the booted system: kernel, initrd, kernel-modules, init-interface-version.',
              maxItems: 8,
            }),
          ),
          undoes: Type.Optional(
            Type.Boolean({
              description: 'True where the next boot starts something else than what runs, and nobody asked for that.',
            }),
          ),
          fallback: Type.Optional(
            Type.Boolean({
              description:
                'Whether a closure whose kernel does not come up falls back to the one before without anyone: only systemd-boot with boot counting does.',
            }),
          ),
        },
        { description: 'Whether a reboot is due, and what it would do.' },
      ),
    ),
    drift: Type.Optional(Drift),
    held: Type.Optional(Held),
    failedUnits: Type.Optional(
      Type.Array(Type.String({ maxLength: 256 }), {
        description: 'Units that are failed now, the first 16.',
        maxItems: 16,
      }),
    ),
    knownBad: Type.Optional(
      Type.Array(Type.String({ maxLength: 512 }), {
        description: 'Closures that failed on this machine, newest first; not told again until someone retries.',
        maxItems: 10,
      }),
    ),
  },
  { description: 'What the machine is told and what it does. Written by Floe.', default: UNSEEN },
);

/** The kind as the generator reads it. */
export const nixMachineKind: KindSchema = {
  kind: 'NixMachine',
  plural: 'nixmachines',
  singular: 'nixmachine',
  shortNames: ['nm'],
  description: 'A NixMachine is one machine that runs NixOS: what it should run, and what it does run.',
  columns: [
    { name: 'Config', type: 'string', jsonPath: '.spec.configRef.name', description: 'Its NixConfig.' },
    {
      name: 'Current',
      type: 'string',
      jsonPath: '.status.current.revision',
      description: 'The revision that runs; empty where Floe did not build what runs.',
    },
    { name: 'Desired', type: 'string', jsonPath: '.status.desired.revision', description: 'The revision it was told.' },
    {
      name: 'Online',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Online")].status',
      description: 'Whether its agent is connected.',
    },
    {
      name: 'Ready',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].status',
      description: 'Whether it runs what it was told and is healthy.',
    },
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
  spec: NixMachineSpec,
  status: NixMachineStatus,
};

export type Attempt = Static<typeof Attempt>;
export type NixMachineSpec = Static<typeof NixMachineSpec>;
export type NixMachineStatus = Static<typeof NixMachineStatus>;
export type PendingKey = NonNullable<NixMachineStatus['pendingKey']>;
export type Desired = NonNullable<NixMachineStatus['desired']>;
export type NixMachine = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: NixMachineSpec;
  status?: NixMachineStatus;
};
