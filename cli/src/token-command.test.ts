// Join tokens: what is written, that the token itself is not, and what is refused.
import { isJoinToken } from '@floe/crds/join-token';
import type { Secret } from '@floe/operator/kube/builtin';
import { expect, test } from 'vitest';
import { InputError } from './input-error.ts';
import { tokenCommand } from './token-command.ts';

function world() {
  const made: Secret[] = [];
  const client = {
    namespace: 'shop',
    create: (_: unknown, object: unknown) => {
      made.push(object as Secret);
      return Promise.resolve(object as never);
    },
    close: () => Promise.resolve(),
  };
  const ports = {
    connect: () => Promise.resolve(client),
    now: () => new Date('2026-03-01T12:00:00Z'),
    signal: new AbortController().signal,
  };
  return { made, ports };
}
const texts = (secret: Secret | undefined) =>
  Object.fromEntries(
    Object.entries(secret?.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );

test('a token is printed; its Secret holds a hash, an end and a count', async () => {
  const { made, ports } = world();
  const token = await tokenCommand(['create'], ports);
  const [secret] = made;
  const { sha256 = '', ...rest } = texts(secret);
  expect(isJoinToken(token, sha256)).toBe(true);
  expect(rest).toEqual({ expiresAt: '2026-03-02T12:00:00Z', uses: '1' });
  expect(secret?.metadata).toMatchObject({ namespace: 'shop', labels: { 'floe.dev/join': 'true' } });
  expect(token).toContain(secret?.metadata.name.replace('floe-join-', 'floe-join.'));
  expect(JSON.stringify(made) + JSON.stringify(texts(secret))).not.toContain(token);
});

test('for machines with labels, several of them, for an hour, elsewhere', async () => {
  const { made, ports } = world();
  await tokenCommand(['create', '-n', 'lab', '--selector', 'role=web,zone=a', '--uses=20', '--ttl', '1h'], ports);
  expect(made[0]?.metadata.namespace).toBe('lab');
  expect(texts(made[0])).toMatchObject({ selector: 'role=web,zone=a', uses: '20', expiresAt: '2026-03-01T13:00:00Z' });
});

test.each<[string, string[]]>([
  ['COMMAND', []],
  ['COMMAND', ['delete']],
  ['--uses', ['create', '--uses', '0']],
  ['--uses', ['create', '--uses', 'many']],
  ['--ttl', ['create', '--ttl', 'soon']],
  ['--ttl', ['create', '--ttl', '9999h']],
  ['--selector', ['create', '--selector', 'role']],
  ['--selector', ['create', '--selector', 'role=web', '--machine', 'web-01']],
])('%s of %j is refused, and nothing is made', async (field, argv) => {
  const { made, ports } = world();
  await expect(tokenCommand(argv, ports)).rejects.toMatchObject({ field });
  await expect(tokenCommand(argv, ports)).rejects.toBeInstanceOf(InputError);
  expect(made).toEqual([]);
});
