// Secrets of a machine: Kubernetes Secrets that become files below /run/floe-secrets, in the spec, the status and the protocol.
import { type Static, Type } from 'typebox';
import { ObjectName, Time } from './schema.ts';
import { MAX_SECRETS, SECRET_NAME_PATTERN } from './secret-limits.ts';

/** Name of a file below /run/floe-secrets: no folder, no hidden file. */
const FileName = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 100, pattern: SECRET_NAME_PATTERN });

const Account = (description: string) =>
  Type.String({
    description,
    minLength: 1,
    maxLength: 64,
    pattern: '^([a-z_][a-z0-9_.-]*\\$?|[0-9]{1,9})$',
    default: 'root',
  });

const Mode = Type.String({
  description: 'Permissions of the file in octal; nobody else may read it by default.',
  pattern: '^0[0-7]{3}$',
  maxLength: 4,
  default: '0400',
});

const MachineSecret = Type.Object(
  {
    name: FileName('Name of the file below /run/floe-secrets; unique in this list.'),
    secretRef: Type.Object(
      {
        name: ObjectName('Name of the Secret, in the namespace of the machine.'),
        key: Type.String({
          description: 'Key in the data of the Secret; at most 64 KiB of content.',
          minLength: 1,
          maxLength: 253,
          pattern: '^[-._a-zA-Z0-9]+$',
        }),
      },
      { description: 'Where the content comes from.' },
    ),
    owner: Type.Optional(Account('User of the machine that owns the file, by name or number.')),
    group: Type.Optional(Account('Group of the machine that the file belongs to, by name or number.')),
    mode: Type.Optional(Mode),
  },
  { description: 'One file.' },
);

/** `spec.secrets`. */
export const MachineSecrets = Type.Array(MachineSecret, {
  description:
    'Files below /run/floe-secrets on the machine, in memory only, from Secrets of this namespace. Delivered when the machine connects and when the content changes; what is taken out of the list vanishes. Whoever may edit a NixMachine can read any Secret of its namespace this way.',
  maxItems: MAX_SECRETS,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['name'],
});

const SecretFault = Type.Object({
  name: FileName('Name of the file.'),
  message: Type.String({ description: 'Why it is not as the spec says, and what to do.', maxLength: 512 }),
});

const faults = { description: 'Those that are not as the spec says, the first 16.', maxItems: 16 };

/** `status.secrets`, and what the agent reports of them. */
export const SecretsStatus = Type.Object(
  {
    generation: Type.Integer({
      description: 'The `metadata.generation` of the list that the machine was sent last.',
      format: 'int64',
      minimum: 0,
    }),
    total: Type.Integer({ description: 'Files in that list.', minimum: 0 }),
    delivered: Type.Integer({ description: 'Files that are on the machine as the list says.', minimum: 0 }),
    failed: Type.Optional(Type.Array(SecretFault, faults)),
    changedAt: Type.Optional(Time('When a file was written or removed last, by the clock of the machine.')),
  },
  { description: 'How far `spec.secrets` are on the machine. Says nothing of their content.' },
);

/**
 * Hub -> agent: the whole list of files, without content. On connect, and when the list or a content changes. Sent only
 * to agents whose hello names the feature `secrets`.
 */
export const SecretsMessage = Type.Object({
  type: Type.Literal('secrets'),
  generation: Type.Integer({ minimum: 0 }),
  /** 32 random bytes, base64: key of the digests, so that equal contents look different to every replica. */
  salt: Type.String({ minLength: 40, maxLength: 64 }),
  entries: Type.Array(
    Type.Object({
      name: FileName('File.'),
      owner: Account('User.'),
      group: Account('Group.'),
      mode: Mode,
      /** HMAC-SHA256 of the content with the salt, hex; absent where the hub has no content. */
      digest: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
      /** Why there is none. A file that is on the machine already stays as it is. */
      fault: Type.Optional(Type.String({ maxLength: 512 })),
    }),
    { maxItems: MAX_SECRETS },
  ),
});

/** Agent -> hub: send the content of these files; one such question at a time. */
export const WantSecrets = Type.Object({
  type: Type.Literal('wantSecrets'),
  names: Type.Array(FileName('File.'), { minItems: 1, maxItems: 4 }),
});

/** Hub -> agent: one content. */
export const SecretMessage = Type.Object({
  type: Type.Literal('secret'),
  name: FileName('File.'),
  /** Base64; absent where the hub has none any more: a new list follows. */
  content: Type.Optional(Type.String({ maxLength: 90_000 })),
});

/** A way of saying which messages an agent knows beyond the first version; see `hello.agent.features`. */
export const Features = Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 });

export type MachineSecret = Static<typeof MachineSecret>;
export type SecretsStatus = Static<typeof SecretsStatus>;
export type SecretsMessage = Static<typeof SecretsMessage>;
export type WantSecrets = Static<typeof WantSecrets>;
export type SecretMessage = Static<typeof SecretMessage>;
