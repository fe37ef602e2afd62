// The kind NixConfig: what to build for a set of machines.
import { type Static, Type } from 'typebox';
import type { ObjectMeta } from './object-meta.ts';
import {
  Conditions,
  Duration,
  exactlyOneOf,
  type KindSchema,
  LastHandled,
  ObjectName,
  ObservedGeneration,
  OneOf,
  RevisionId,
  StorePath,
  Time,
  UNSEEN,
} from './schema.ts';

const SecretRef = (description: string) =>
  Type.Object({ name: ObjectName('Name of the Secret, in the namespace of the NixConfig.') }, { description });

const GitSource = Type.Object(
  {
    url: Type.String({
      description: 'Where the repository is: an `https://`, `ssh://` or `file://` URL.',
      minLength: 1,
      maxLength: 1024,
      pattern: '^(https?|ssh|file)://',
    }),
    ref: Type.Optional(
      Type.Object(
        {
          branch: Type.Optional(Type.String({ description: 'Follow this branch.', maxLength: 256 })),
          tag: Type.Optional(Type.String({ description: 'Use this tag.', maxLength: 256 })),
          commit: Type.Optional(
            Type.String({ description: 'Use exactly this commit, 40 hex digits.', pattern: '^[0-9a-f]{40}$' }),
          ),
        },
        {
          description: 'What to take of the repository; its default branch where nothing is said.',
          'x-kubernetes-validations': [exactlyOneOf(['branch', 'tag', 'commit'], 'spec.source.git.ref')],
        },
      ),
    ),
    path: Type.Optional(
      Type.String({
        description: 'Folder of the repository that holds `flake.nix`; default its root.',
        maxLength: 512,
      }),
    ),
    secretRef: Type.Optional(
      SecretRef(
        'Credentials of the repository: `username` and `password` (or `bearerToken`) for https, `identity` and `known_hosts` for ssh.',
      ),
    ),
  },
  { description: 'A git repository that holds a flake.' },
);

const Source = Type.Object(
  {
    flake: Type.Optional(
      Type.String({
        description: 'A flake reference, as `nix build` takes it; `github:acme/fleet` for instance.',
        minLength: 1,
        maxLength: 1024,
      }),
    ),
    git: Type.Optional(GitSource),
    inline: Type.Optional(
      Type.Object(
        {
          files: Type.Record(Type.String(), Type.String({ maxLength: 262144 }), {
            description: 'The files of the flake, by their path; `flake.nix` must be among them.',
            minProperties: 1,
            maxProperties: 64,
          }),
        },
        {
          description: 'A flake whose files stand in this object.',
          'x-kubernetes-validations': [
            { rule: "'flake.nix' in self.files", message: 'spec.source.inline.files: add a file flake.nix' },
          ],
        },
      ),
    ),
    inputsSecretRef: Type.Optional(
      SecretRef(
        'Credentials of private inputs of the flake: `netrc`, `access-tokens` (in the form of nix.conf), `identity` and `known_hosts`.',
      ),
    ),
  },
  {
    description: 'Where the NixOS configuration comes from: exactly one of flake, git and inline.',
    'x-kubernetes-validations': [exactlyOneOf(['flake', 'git', 'inline'], 'spec.source')],
  },
);

/** A quantity as Kubernetes writes it: `500m`, `2`, `8Gi`. */
const Quantity = Type.String({
  maxLength: 32,
  pattern: '^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$',
});

const Build = Type.Object(
  {
    timeout: Type.Optional(Duration('Time limit of a build Job.', '2h')),
    machinesPerEvaluation: Type.Optional(
      Type.Integer({
        description:
          'Machines that one process evaluates. 1 by default: as many processes run at once as processors and the memory limit allow, which is as fast and takes the least memory. More is of use where machines share one pkgs: each further one then takes less memory than a process of its own.',
        minimum: 1,
        maximum: 1000,
      }),
    ),
    nodeSelector: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
        description: 'Labels of the nodes that build Jobs may run on.',
        maxProperties: 16,
      }),
    ),
    resources: Type.Optional(
      Type.Object(
        {
          requests: Type.Optional(
            Type.Record(Type.String(), Quantity, {
              description: 'What the container is guaranteed, `cpu` and `memory` for instance.',
              maxProperties: 8,
            }),
          ),
          limits: Type.Optional(
            Type.Record(Type.String(), Quantity, {
              description: 'What the container may use at most.',
              maxProperties: 8,
            }),
          ),
        },
        { description: 'Resources of the container that evaluates and builds, as in a Pod.' },
      ),
    ),
  },
  { description: 'How build Jobs run.' },
);

export const NixConfigSpec = Type.Object(
  {
    source: Source,
    attribute: Type.Optional(
      Type.String({
        description:
          "Where a machine's system lies in the flake. `{machine}` is replaced by the machine's host name, `{label:KEY}` by its label KEY. Without any of them all machines share one closure.",
        default: 'nixosConfigurations.{machine}',
        minLength: 1,
        maxLength: 512,
      }),
    ),
    modules: Type.Optional(
      Type.Array(Type.String({ description: 'A NixOS module as Nix text.', maxLength: 65536 }), {
        description: "NixOS modules that are added to every machine's configuration with `extendModules`.",
        maxItems: 32,
      }),
    ),
    inputs: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 1024 }), {
        description: 'Inputs of the flake to take from elsewhere: name to flake reference, as `--override-input` does.',
        maxProperties: 32,
      }),
    ),
    interval: Type.Optional(
      Duration(
        'How often the source is looked at for something new, and the cache asked whether it has lost anything.',
        '5m',
      ),
    ),
    suspend: Type.Optional(
      Type.Boolean({ description: 'Look at nothing and build nothing while true.', default: false }),
    ),
    delivery: Type.Optional(
      OneOf(
        ['Rollout', 'Immediate'],
        '`Rollout`: a machine moves when a Rollout that selects it says so. `Immediate`: machines move as soon as their closure is built.',
        'Rollout',
      ),
    ),
    build: Type.Optional(Build),
    historyLimit: Type.Optional(
      Type.Integer({
        description: 'Revisions that are kept, beside those that machines or Rollouts still use.',
        default: 10,
        minimum: 1,
        maximum: 100,
      }),
    ),
  },
  { description: 'What to build.' },
);

const Revision = {
  id: RevisionId('Id of the revision, 12 hex digits.'),
  source: Type.String({
    description: 'What it was built from, for people: `main@91ffe02` or `inline@5b1c9d8`.',
    maxLength: 512,
  }),
};

export const NixConfigStatus = Type.Object(
  {
    observedGeneration: ObservedGeneration,
    conditions: Type.Optional(Conditions),
    lastHandled: LastHandled,
    revision: Type.Optional(
      Type.Object(
        {
          ...Revision,
          locked: Type.Optional(
            Type.String({ description: 'The locked flake reference that it was built from.', maxLength: 2048 }),
          ),
          builtAt: Time('When its build ended.'),
        },
        { description: 'The revision that was built last; Rollouts bring it to the machines.' },
      ),
    ),
    build: Type.Optional(
      Type.Object(
        {
          phase: OneOf(
            ['Resolving', 'Fetching', 'Evaluating', 'Building', 'Pushing', 'Built', 'Failed'],
            'How far the newest build is.',
          ),
          revision: Type.Optional(RevisionId('Id of the revision that is being built.')),
          source: Type.Optional(Type.String({ description: 'What it is built from, for people.', maxLength: 512 })),
          job: Type.Optional(Type.String({ description: 'Name of the Job.', maxLength: 253 })),
          evaluated: Type.Optional(Type.Integer({ description: 'Machines evaluated.' })),
          built: Type.Optional(Type.Integer({ description: 'Derivations built.' })),
          total: Type.Optional(Type.Integer({ description: 'Machines to evaluate, then derivations to build.' })),
          attempts: Type.Optional(Type.Integer({ description: 'Jobs that failed for this revision so far.' })),
          failure: Type.Optional(
            Type.Object(
              {
                reason: Type.String({ description: 'One word in CamelCase for programs.', maxLength: 128 }),
                message: Type.String({ description: 'What went wrong, where, and what to do.', maxLength: 2048 }),
                generation: Type.Optional(
                  Type.Integer({ description: 'The `metadata.generation` that failed; another one is tried at once.' }),
                ),
                retryAt: Type.Optional(
                  Time('When it is tried again by itself; without it, when the spec changes or someone asks for it.'),
                ),
              },
              { description: 'Why the Job as a whole failed.' },
            ),
          ),
          startedAt: Type.Optional(Time('When it began.')),
          finishedAt: Type.Optional(Time('When it ended.')),
        },
        { description: 'The newest build.' },
      ),
    ),
    machines: Type.Optional(
      Type.Object(
        {
          total: Type.Integer({ description: 'Machines that name this config.' }),
          built: Type.Integer({ description: 'Machines that have a closure in the revision.' }),
          failed: Type.Integer({ description: 'Machines whose closure could not be evaluated or built.' }),
          ready: Type.Optional(Type.String({ description: '`built/total`, for the column.', maxLength: 32 })),
        },
        { description: 'The machines of this config.' },
      ),
    ),
    failures: Type.Optional(
      Type.Array(
        Type.Object({
          machine: Type.String({ description: 'Name of the NixMachine.', maxLength: 253 }),
          stage: OneOf(['Evaluation', 'Build'], 'Where it failed.'),
          message: Type.String({ description: "Nix's error in plain words.", maxLength: 2048 }),
        }),
        { description: 'The first ten machines that could not be built, and why.', maxItems: 10 },
      ),
    ),
    cache: Type.Optional(
      Type.Object(
        {
          url: Type.String({ description: 'Substituter that machines fetch from.', maxLength: 1024 }),
          publicKey: Type.String({
            description: "Public half of the namespace's signing key; machines list it in `trusted-public-keys`.",
            maxLength: 512,
          }),
        },
        { description: 'Where the closures are and who signed them.' },
      ),
    ),
    history: Type.Optional(
      Type.Array(
        Type.Object({
          ...Revision,
          builtAt: Time('When its build ended.'),
          closures: Type.Optional(Type.Integer({ description: 'Different closures in it.' })),
          default: Type.Optional(StorePath('The closure, where all machines share one.')),
        }),
        { description: 'Revisions that were built, newest first.', maxItems: 100 },
      ),
    ),
    checkedAt: Type.Optional(Time('When a change of the source was found last.')),
  },
  { description: 'What was found and built. Written by Floe.', default: UNSEEN },
);

/** The kind as the generator reads it. */
export const nixConfigKind: KindSchema = {
  kind: 'NixConfig',
  plural: 'nixconfigs',
  singular: 'nixconfig',
  shortNames: ['nc'],
  description:
    'A NixConfig says what to build: a source, and where in it the systems of its machines lie. Whoever may edit it is root on its machines.',
  columns: [
    { name: 'Revision', type: 'string', jsonPath: '.status.revision.id', description: 'The revision built last.' },
    { name: 'Source', type: 'string', jsonPath: '.status.revision.source', description: 'What it was built from.' },
    { name: 'Machines', type: 'string', jsonPath: '.status.machines.ready', description: 'Built of all.' },
    {
      name: 'Ready',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].status',
      description: 'Whether the newest source is built for every machine.',
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
  spec: NixConfigSpec,
  status: NixConfigStatus,
};

export type NixConfigSpec = Static<typeof NixConfigSpec>;
export type NixConfigStatus = Static<typeof NixConfigStatus>;
export type NixConfig = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: NixConfigSpec;
  status?: NixConfigStatus;
};
