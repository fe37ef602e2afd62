// The messages between agent and hub; docs/spec/agent-protocol.md says when each is sent.
import { type Static, Type } from 'typebox';
import { activationOrderFields } from './activation.ts';
import { ConsentQuestion, ConsentStatus } from './consent.ts';
import { Drift, DriftPolicy, Held } from './drift.ts';
import { GenerationsMessage } from './generations.ts';
import { HealthCheck } from './health-check.ts';
import { Attempt } from './nix-machine.ts';
import { PastAttempts } from './past-attempt.ts';
import { REFUSAL_REASONS } from './refusal-reasons.ts';
import { OneOf, RevisionId, StorePath, Time } from './schema.ts';
import { Features, SecretMessage, SecretsMessage, SecretsStatus, WantSecrets } from './secrets.ts';

/** Protocol version that this build speaks. */
const Version = Type.Integer({ minimum: 1, maximum: 1000 });
const Name = Type.String({ minLength: 1, maxLength: 253 });

/** Hub -> agent, first message on a connection. */
export const Challenge = Type.Object({
  type: Type.Literal('challenge'),
  /** 32 random bytes, base64. Good for this connection alone. */
  nonce: Type.String({ minLength: 40, maxLength: 64 }),
  /** Versions that the hub serves, newest first. */
  versions: Type.Array(Version, { minItems: 1, maxItems: 8 }),
});

/** Agent -> hub, answer to the challenge. */
export const Hello = Type.Object({
  type: Type.Literal('hello'),
  version: Version,
  /** `session`: the connection over which orders and reports go. `confirm`: a new one that confirms an attempt and ends. */
  purpose: OneOf(['session', 'confirm'], 'What the connection is for.'),
  namespace: Name,
  machine: Name,
  /** Host (and port) that the agent dialled, as in the Host header. */
  host: Type.String({ minLength: 1, maxLength: 300 }),
  time: Time('Clock of the machine.'),
  /** `ssh-ed25519 AAAA…` */
  publicKey: Type.String({ maxLength: 1024 }),
  /** SSHSIG (armoured) over the lines protocol name, version, purpose, host, namespace, machine, nonce, time; namespace `floe-agent`. */
  signature: Type.String({ maxLength: 4096 }),
  /** A join token, from a machine that has no identity yet; read only where the NixMachine has none. Not signed. */
  joinToken: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  agent: Type.Object({
    version: Type.String({ maxLength: 64 }),
    running: Type.Optional(Type.String({ maxLength: 512 })),
    /** Parts of the protocol beyond the first build's that it knows: `secrets`. Others are not sent to it. */
    features: Type.Optional(Features),
  }),
});

/** Hub -> agent: let in. */
export const Welcome = Type.Object({
  type: Type.Literal('welcome'),
  version: Version,
  replica: Type.String({ maxLength: 253 }),
  /** Seconds between pings of the agent; after three without an answer either side closes. */
  heartbeatSeconds: Type.Integer({ minimum: 1, maximum: 600 }),
});

/**
 * Hub -> agent: not let in, or put out of a running session (machine deleted, key changed, message broken); the
 * connection ends with code 1008, or with 1012 for NotReady and Draining. On a `confirm` connection NotReady is no
 * denial: the hub can't know yet, ask again. Other close codes of the hub: 1000 done; 1009 message too large; 1012 this
 * replica ends or another has the machine, connect again; 4000 no hello in time or no answer to three pings; 4001 a
 * newer connection of the same machine took its place.
 */
export const Refused = Type.Object({
  type: Type.Literal('refused'),
  reason: OneOf(REFUSAL_REASONS, 'Why.'),
  message: Type.String({ maxLength: 1024 }),
  /** Seconds after which to try again; absent: back-off of the agent. */
  retryAfterSeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 86400 })),
});

/** Hub -> agent: what to run. Sent on connect and on each change. */
export const DesiredMessage = Type.Object({
  type: Type.Literal('desired'),
  id: Type.String({ minLength: 1, maxLength: 64 }),
  sequence: Type.Integer({ minimum: 0 }),
  revision: RevisionId('Revision.'),
  closure: StorePath('Closure to run.'),
  /**
   * False: fetch only; also while the machine is on hold. It does not stop an attempt that is past `Fetched`: that one
   * asks with `confirm`.
   */
  go: Type.Boolean(),
  /**
   * True: the machine may restart now, where the closure needs it. May come later than the go, with the same id and a
   * higher sequence. Absent: false.
   */
  reboot: Type.Optional(Type.Boolean()),
  mode: OneOf(['switch', 'boot', 'test'], 'How.'),
  /** Limits in seconds. */
  switchTimeoutSeconds: Type.Number({ minimum: 1, maximum: 86400 }),
  confirmTimeoutSeconds: Type.Number({ minimum: 1, maximum: 86400 }),
  healthChecks: Type.Array(HealthCheck, { maxItems: 32 }),
  /** Absent: Report. */
  drift: Type.Optional(DriftPolicy),
  /** Absent: what the machine itself says. */
  generations: Type.Optional(GenerationsMessage),
  /** Substituters to fetch from; keys come from the machine's own configuration, never from here. */
  substituters: Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 16 }),
  ...activationOrderFields,
  /** The people at the machine are to be asked before the go comes. */
  consent: Type.Optional(ConsentQuestion),
});

/** A closure as the machine sees it. */
const Seen = Type.Object({
  closure: Type.String({ maxLength: 512 }),
  verified: Type.Optional(Type.Boolean()),
  /** The specialisation of the closure that it is. */
  specialisation: Type.Optional(Type.String({ maxLength: 128 })),
});

/** The machine's whole present state. */
export const MachineState = Type.Object({
  current: Type.Optional(Seen),
  booted: Type.Optional(Seen),
  bootDefault: Type.Optional(Seen),
  /** Highest sequence that was accepted. */
  sequence: Type.Integer({ minimum: 0 }),
  /** The order that was refused last, where none was accepted since. */
  refused: Type.Optional(Type.Object({ id: Type.String({ maxLength: 64 }), message: Type.String({ maxLength: 512 }) })),
  /** The attempt in hand, or the last one. */
  attempt: Type.Optional(Attempt),
  /** The last ten that are over, newest first. Left out while one is in hand: they do not change then. */
  attempts: Type.Optional(PastAttempts),
  reboot: Type.Object({
    required: Type.Boolean(),
    reasons: Type.Array(Type.String({ maxLength: 256 }), { maxItems: 8 }),
    undoes: Type.Optional(Type.Boolean()),
    fallback: Type.Optional(Type.Boolean()),
  }),
  drift: Type.Optional(Drift),
  held: Type.Optional(Held),
  failedUnits: Type.Array(Type.String({ maxLength: 256 }), { maxItems: 16 }),
  facts: Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 256 }), { maxProperties: 16 }),
  /** What the people at the machine said to the newest question. */
  consent: Type.Optional(ConsentStatus),
  /** Store path of the agent that the running system starts. */
  expectedAgent: Type.Optional(Type.String({ maxLength: 512 })),
  /** How far the files of the last list are; absent while there are none. */
  secrets: Type.Optional(SecretsStatus),
});

/**
 * Agent -> hub: present state; on connect and on each change. It need not wait for the ack of the report before: the
 * newest state counts, and the hub stores the end of an attempt at once. 10 messages per second in the long run and 60
 * at once are accepted; beyond that the connection ends with BadMessage.
 */
export const Report = Type.Object({
  type: Type.Literal('report'),
  /** Counts up within a connection; acknowledged by `ack`. */
  seq: Type.Integer({ minimum: 1 }),
  state: MachineState,
});

/** Hub -> agent: everything up to this report is stored. */
export const Ack = Type.Object({ type: Type.Literal('ack'), seq: Type.Integer({ minimum: 1 }) });

/** Agent -> hub on a `confirm` connection, once; the answer is `confirmed`, `denied`, or `refused` with NotReady. */
export const Confirm = Type.Object({
  type: Type.Literal('confirm'),
  attempt: Type.String({ minLength: 1, maxLength: 64 }),
  closure: StorePath('Closure that runs and is healthy.'),
});

/** Hub -> agent: keep it. */
export const Confirmed = Type.Object({
  type: Type.Literal('confirmed'),
  attempt: Type.String({ minLength: 1, maxLength: 64 }),
});

/** Hub -> agent: no longer desired; roll back. */
export const Denied = Type.Object({
  type: Type.Literal('denied'),
  attempt: Type.String({ minLength: 1, maxLength: 64 }),
  reason: Type.String({ maxLength: 64 }),
  message: Type.String({ maxLength: 1024 }),
});

export const HubMessage = Type.Union([
  Challenge,
  Welcome,
  Refused,
  DesiredMessage,
  Ack,
  Confirmed,
  Denied,
  SecretsMessage,
  SecretMessage,
]);
export const AgentMessage = Type.Union([Hello, Report, Confirm, WantSecrets]);

export type Challenge = Static<typeof Challenge>;
export type Hello = Static<typeof Hello>;
export type Welcome = Static<typeof Welcome>;
export type Refused = Static<typeof Refused>;
export type DesiredMessage = Static<typeof DesiredMessage>;
export type MachineState = Static<typeof MachineState>;
export type Report = Static<typeof Report>;
export type Ack = Static<typeof Ack>;
export type Confirm = Static<typeof Confirm>;
export type Confirmed = Static<typeof Confirmed>;
export type Denied = Static<typeof Denied>;
export type HubMessage = Static<typeof HubMessage>;
export type AgentMessage = Static<typeof AgentMessage>;
