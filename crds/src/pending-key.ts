// The key of a machine that asks to join, until a person has approved it.
import { Type } from 'typebox';
import { Time } from './schema.ts';

export const PendingKey = Type.Object(
  {
    fingerprint: Type.String({
      description:
        'Fingerprint of the key as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the machine.',
      maxLength: 64,
    }),
    publicKey: Type.String({
      description: 'The key, `ssh-ed25519 AAAA…`: what `spec.identity.sshHostKey` becomes when it is approved.',
      maxLength: 1024,
    }),
    since: Time('When it asked first.'),
    token: Type.Optional(
      Type.String({
        description: 'Name of the join token with which it came: its Secret is `floe-join-<name>`.',
        maxLength: 64,
      }),
    ),
  },
  {
    description:
      'Key of a machine that has no `spec.identity` and came with a join token. It is let in once a person has approved it: by writing `publicKey` into `spec.identity.sshHostKey`, as `kubectl floe approve machine/NAME` does, or by the annotation `floe.dev/approve-key` with the fingerprint.',
  },
);
