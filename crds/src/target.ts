// How a machine is reached: by its agent, which dials out, or by SSH from the operator.
import { type Static, Type } from 'typebox';
import { Duration, exactlyOneOf, ObjectName } from './schema.ts';

const Ssh = Type.Object(
  {
    host: Type.String({
      description: 'Name or address of the machine, as the operator reaches it.',
      minLength: 1,
      maxLength: 253,
      pattern: '^[A-Za-z0-9.:_-]+$',
    }),
    port: Type.Optional(
      Type.Integer({ description: 'Port of its SSH server.', minimum: 1, maximum: 65535, default: 22 }),
    ),
    user: Type.Optional(
      Type.String({
        description: 'Who logs in: `root`, or a user who may run `sudo -n /bin/sh`.',
        default: 'root',
        minLength: 1,
        maxLength: 32,
        pattern: '^[a-z_][a-z0-9_-]*$',
      }),
    ),
    secretRef: Type.Object(
      {
        name: ObjectName('Name of the Secret, in the namespace of the machine.'),
        key: Type.Optional(
          Type.String({
            description: 'Key in the Secret.',
            default: 'privateKey',
            minLength: 1,
            maxLength: 253,
            pattern: '^[-._a-zA-Z0-9]+$',
          }),
        ),
      },
      { description: 'The private key, in the form of OpenSSH and without a passphrase.' },
    ),
    interval: Type.Optional(
      Duration('How often it is looked at while nothing is to be done; a minute at least.', '5m'),
    ),
  },
  {
    description:
      'From the operator, by SSH: for machines without an agent. `identity.sshHostKey` is required, and checked on every connection.',
  },
);

export const Target = Type.Object(
  {
    agent: Type.Optional(
      Type.Object({}, { description: 'By the agent that runs on it and dials the hub; the default.' }),
    ),
    ssh: Type.Optional(Ssh),
  },
  {
    description: 'How the machine is reached; default `agent: {}`.',
    'x-kubernetes-validations': [exactlyOneOf(['agent', 'ssh'], 'target')],
  },
);

const NOT_SSH = '!has(self.target) || !has(self.target.ssh)';
const needsAgent = (has: string, what: string) => ({
  rule: `${NOT_SSH} || !has(self.activation) || !(${has})`,
  message: `${what} needs an agent: remove it, or use target agent`,
});

/** What a machine that no agent watches over can't have; operator/src/conditions/ssh-target.ts has the same rules. */
export const SSH_RULES = [
  {
    rule: `${NOT_SSH} || has(self.identity)`,
    message: 'target ssh needs identity.sshHostKey: set it to /etc/ssh/ssh_host_ed25519_key.pub of the machine',
  },
  {
    rule: `${NOT_SSH} || !has(self.secrets) || self.secrets.size() == 0`,
    message: 'secrets need an agent: remove them, or use target agent',
  },
  needsAgent("has(self.activation.reboot) && self.activation.reboot != 'Never'", 'activation.reboot'),
  needsAgent("has(self.activation.drift) && self.activation.drift != 'Report'", 'activation.drift: Revert'),
  needsAgent("has(self.activation.consent) && self.activation.consent != 'None'", 'activation.consent: Ask'),
  needsAgent("has(self.activation.confirm) && self.activation.confirm != 'Required'", 'activation.confirm: WhenOnline'),
  needsAgent('has(self.activation.generations)', 'activation.generations'),
  needsAgent(
    'has(self.activation.healthChecks) && self.activation.healthChecks.exists(c, has(c.named))',
    'a health check by name',
  ),
] as const;

export type SshTarget = Static<typeof Ssh>;
