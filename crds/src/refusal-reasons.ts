// Why a hub does not let an agent in, as the protocol and the metrics say it.

/** Each is a `reason` of a `refused` message and a label of `floe_hub_refused_total`. */
export const REFUSAL_REASONS = [
  'UnknownMachine',
  'NoIdentity',
  'PendingApproval',
  'BadToken',
  'WrongKey',
  'DuplicateKey',
  'OtherTarget',
  'BadSignature',
  'WrongHost',
  'UnsupportedVersion',
  'BadMessage',
  'NotReady',
  'Draining',
] as const;
