// A health check of a machine: what must hold on a new closure before it is kept, and what one came to.
import { type Static, Type } from 'typebox';
import { Duration, exactlyOneOf, Time } from './schema.ts';

const Systemd = Type.Object(
  {
    units: Type.Array(
      Type.String({ description: 'Name of a unit, `nginx.service`. No pattern.', minLength: 1, maxLength: 256 }),
      {
        description: 'Units that must be active.',
        minItems: 1,
        maxItems: 64,
      },
    ),
  },
  { description: 'Units of systemd that must be active.' },
);

const Http = Type.Object(
  {
    url: Type.String({
      description:
        'Address, asked from the machine itself: `https://localhost:8443/healthz`. Redirects are not followed.',
      minLength: 8,
      maxLength: 2048,
      pattern: '^https?://[^\\s/]',
    }),
    method: Type.Optional(
      Type.String({ description: 'Method of the request.', default: 'GET', maxLength: 16, pattern: '^[A-Z]+$' }),
    ),
    status: Type.Optional(
      Type.Array(Type.Integer({ minimum: 100, maximum: 599 }), {
        description: 'Status codes that pass; default any from 200 to 299.',
        minItems: 1,
        maxItems: 16,
      }),
    ),
    body: Type.Optional(
      Type.Object(
        {
          contains: Type.Optional(
            Type.String({ description: 'Text that must be in the body.', minLength: 1, maxLength: 1024 }),
          ),
          matches: Type.Optional(
            Type.String({
              description: 'Regular expression (JavaScript, not anchored) that the body must match.',
              minLength: 1,
              maxLength: 1024,
            }),
          ),
        },
        { description: 'What the first 64 KiB of the body must say. With both, both must hold.' },
      ),
    ),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 1024 }), {
        description: 'Headers of the request. They are no place for secrets: whoever may read the machine sees them.',
        maxProperties: 16,
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          insecureSkipVerify: Type.Optional(
            Type.Boolean({ description: 'Take any certificate. It says only that someone answers.', default: false }),
          ),
          caFile: Type.Optional(
            Type.String({
              description: 'File on the machine with the certificates (PEM) to trust in place of its own.',
              minLength: 1,
              maxLength: 1024,
              pattern: '^/',
            }),
          ),
        },
        { description: 'Which certificate an https address may show; default one that the machine trusts.' },
      ),
    ),
  },
  { description: 'An HTTP request that must be answered.' },
);

const Tcp = Type.Object(
  {
    host: Type.Optional(
      Type.String({ description: 'Host to connect to.', default: 'localhost', minLength: 1, maxLength: 253 }),
    ),
    port: Type.Integer({ description: 'Port to connect to.', minimum: 1, maximum: 65535 }),
  },
  { description: 'A TCP port that must accept connections.' },
);

/** A health check; exactly one kind of check is set. */
export const HealthCheck = Type.Object(
  {
    name: Type.String({ description: 'Name of the check, for messages.', minLength: 1, maxLength: 63 }),
    systemd: Type.Optional(Systemd),
    http: Type.Optional(Http),
    tcp: Type.Optional(Tcp),
    named: Type.Optional(
      Type.String({
        description:
          "Name of a check that the machine's own NixOS configuration defines: `services.floe-agent.checks.<name>`. No command is ever sent to a machine.",
        minLength: 1,
        maxLength: 63,
        pattern: '^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$',
      }),
    ),
    grace: Type.Optional(Duration('How long after the switch it is made for the first time.', '0s')),
    interval: Type.Optional(Duration('Time between two tries.', '2s')),
    successes: Type.Optional(
      Type.Integer({ description: 'Tries in a row that must pass.', default: 1, minimum: 1, maximum: 100 }),
    ),
    timeout: Type.Optional(Duration('How long after its grace the check may take to pass.', '1m')),
  },
  {
    'x-kubernetes-validations': [exactlyOneOf(['systemd', 'http', 'tcp', 'named'], 'spec.activation.healthChecks[]')],
  },
);

/** What a health check came to. */
export const CheckResult = Type.Object({
  name: Type.String({ description: 'Name of the check; `units` is the one that is always made.', maxLength: 63 }),
  passed: Type.Boolean({ description: 'Whether it passed.' }),
  message: Type.Optional(
    Type.String({ description: 'What it found, with the last lines of what it said.', maxLength: 512 }),
  ),
  at: Time('When it was decided.'),
});

export type HealthCheck = Static<typeof HealthCheck>;
export type CheckResult = Static<typeof CheckResult>;
