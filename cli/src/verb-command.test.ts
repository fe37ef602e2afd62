// The verbs: which annotation they write, and what they say.
import { VERBS } from '@floe/crds/constants';
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { KubeError } from '@floe/operator/kube/error';
import { expect, test } from 'vitest';
import { InputError } from './input-error.ts';
import { verbCommand } from './verb-command.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const paused: RolloutStatus = {
  revision: '3f9c2ab41c07',
  run: 'ab12cd34',
  phase: 'Paused',
  step: { index: 1, total: 3, column: '2/3' },
};

function world(status?: RolloutStatus, who?: string) {
  const patches: unknown[] = [];
  let closed = 0;
  const rollout: Rollout = {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'lab', namespace: 'shop' },
    spec: { configRef: { name: 'lab' } },
    ...(status === undefined ? {} : { status }),
  };
  const client = {
    namespace: 'shop',
    get: (_: unknown, key: { name: string }) =>
      key.name === 'lab'
        ? Promise.resolve(rollout as never)
        : Promise.reject(new KubeError({ status: 404, reason: 'NotFound', message: 'not found' })),
    list: () => Promise.resolve([]),
    create: () =>
      who === undefined
        ? Promise.reject(new KubeError({ status: 404, reason: 'NotFound', message: 'not found' }))
        : Promise.resolve({ status: { userInfo: { username: who } } } as never),
    mergePatch: (
      resource: { kind: string },
      { namespace, name }: { namespace?: string | undefined; name: string },
      patch: object,
    ) => {
      patches.push([resource.kind, namespace, name, patch]);
      return Promise.resolve({ metadata: { name } } as never);
    },
    close: () => {
      closed += 1;
      return Promise.resolve();
    },
  };
  const ports = {
    connect: () => Promise.resolve(client),
    now: () => NOW,
    signal: new AbortController().signal,
    userOf,
  };
  return { patches, ports, closed: () => closed };
}

/** The user of the kubeconfig. */
const userOf = () => Promise.resolve('ann');

const annotation = (verb: string, value: string) => ({
  metadata: { annotations: { [`floe.dev/${verb}`]: value, 'floe.dev/by': `${verb} ${value} ann` } },
});

test.each(VERBS.filter((verb) => verb !== 'approve'))('%s writes the time', async (verb) => {
  const { patches, ports, closed } = world(paused);
  const said = await verbCommand(verb, ['lab'], ports);
  expect(patches).toEqual([['Rollout', 'shop', 'lab', annotation(verb, NOW.toISOString())]]);
  expect([said.startsWith('rollout lab: '), closed()]).toEqual([true, 1]);
});

test('approve names run and step of the pause that it found, and says so', async () => {
  const { patches, ports } = world(paused);
  expect(await verbCommand('approve', ['rollout/lab', '-n', 'other'], ports)).toBe(
    'rollout lab: approved step 2/3 of run ab12cd34 of 3f9c2ab',
  );
  expect(patches).toEqual([['Rollout', 'other', 'lab', annotation('approve', 'ab12cd34.1')]]);
});

test.each<[string, RolloutStatus | undefined, string[]]>([
  ['nothing to approve', { ...paused, phase: 'Progressing' }, ['lab']],
  ['nothing began', undefined, ['lab']],
  ['a Rollout that is not there', paused, ['web']],
  ['no name', paused, []],
  ['two names', paused, ['lab', 'web']],
])('approve: %s', async (_, status, argv) => {
  const { patches, ports } = world(status);
  await expect(verbCommand('approve', argv, ports)).rejects.toBeInstanceOf(InputError);
  expect(patches).toEqual([]);
});

test('reconcile takes a NixConfig too', async () => {
  const { patches, ports } = world(paused);
  await verbCommand('reconcile', ['nc/web'], ports);
  await verbCommand('reconcile', ['web', '--config'], ports);
  const patch = { metadata: { annotations: { 'floe.dev/reconcile': NOW.toISOString() } } };
  expect(patches).toEqual([
    ['NixConfig', 'shop', 'web', patch],
    ['NixConfig', 'shop', 'web', patch],
  ]);
});

test('who gave the order: as the API server says, where it does', async () => {
  const { patches, ports } = world(paused, 'system:serviceaccount:ops:bot');
  await verbCommand('urgent', ['lab'], ports);
  expect(JSON.stringify(patches)).toContain(
    `"floe.dev/by":"urgent ${NOW.toISOString()} system:serviceaccount:ops:bot"`,
  );
  const nameless = world(paused);
  await verbCommand('urgent', ['lab'], { ...nameless.ports, userOf: () => Promise.resolve(undefined) });
  expect(JSON.stringify(nameless.patches)).not.toContain('floe.dev/by');
});
