import { expect, test } from 'vitest';
import type { Pod } from '../kube/builtin.ts';
import { job, NOW, pod } from './config.fixture.ts';
import { jobState, runningContainer } from './job-state.ts';

const JOB = job('web-r', 'r');
const waiting = (reason: string, message = 'details') => ({
  initContainerStatuses: [{ name: 'fetch', ready: false, restartCount: 0, state: { waiting: { reason, message } } }],
});

test.each<[string, Pod['status'], string | undefined]>([
  [
    'it runs',
    { initContainerStatuses: [{ name: 'fetch', ready: false, restartCount: 0, state: { running: {} } }] },
    undefined,
  ],
  ['its containers are made', waiting('ContainerCreating'), undefined],
  ['no image', waiting('ImagePullBackOff', 'not found'), "the image can't be pulled: not found; look at --image"],
  ['no image on the node', waiting('ErrImageNeverPull'), 'the image is not on the node'],
  ['a bad name', waiting('InvalidImageName'), 'the image has no valid name'],
  [
    'a Secret is missing',
    waiting('CreateContainerConfigError', 'secret "x" not found'),
    'a Secret or a ConfigMap is missing: secret "x" not found',
  ],
  [
    'no node',
    {
      conditions: [
        { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes are available' },
      ],
    },
    'no node takes the build: 0/3 nodes are available; see spec.build.nodeSelector',
  ],
])('%s', (_, status, trouble) => {
  const found = jobState(JOB, [pod(JOB, status)], NOW);
  expect(found.kind).toBe('active');
  const said = found.kind === 'active' ? found.trouble : '';
  if (trouble === undefined) expect(said).toBeUndefined();
  else expect(said).toContain(trouble);
});

test('without a pod it is patient for a while', () => {
  const at = (seconds: number) =>
    jobState(JOB, [], new Date(Date.parse(JOB.metadata.creationTimestamp ?? '') + seconds * 1000));
  expect(at(10)).toEqual({ kind: 'active', trouble: undefined });
  expect(at(30)).toMatchObject({ trouble: expect.stringContaining('kubectl -n demo describe job web-r') });
});

test('an evicted pod is told apart from a build that failed', () => {
  const status = { conditions: [{ type: 'Failed', status: 'True' as const }] };
  const evicted = pod(JOB, { reason: 'Evicted', message: 'The node was low on resource: ephemeral-storage.' });
  const found = jobState({ ...JOB, status }, [evicted], NOW);
  expect(found).toMatchObject({ kind: 'failed', failure: { reason: 'BuildInterrupted', retry: true } });
  expect(found.kind === 'failed' && found.failure.message).toContain('ephemeral-storage');
});

test.each([
  ['in its own words', JSON.stringify({ error: 'build was told to stop' }), 'build was told to stop'],
  ['without a word', '', 'the container build was killed (exit 143)'],
])('a container that was told to stop did not fail by itself: %s', (_, message, said) => {
  const status = { conditions: [{ type: 'Failed', status: 'True' as const }] };
  const terminated = { exitCode: 143, message };
  const stopped = pod(JOB, {
    initContainerStatuses: [{ name: 'build', ready: false, restartCount: 0, state: { terminated } }],
  });
  const failure = { reason: 'BuildInterrupted', message: said, retry: true };
  expect(jobState({ ...JOB, status }, [stopped], NOW)).toMatchObject({ kind: 'failed', failure });
});

test('the container that works', () => {
  const status = (name: string, state: object) => ({ name, ready: false, restartCount: 0, state });
  const working = pod(JOB, {
    initContainerStatuses: [status('fetch', { terminated: { exitCode: 0 } }), status('build', { running: {} })],
    containerStatuses: [status('push', { waiting: { reason: 'PodInitializing' } })],
  });
  expect(runningContainer(working)).toBe('build');
  expect(runningContainer(pod(JOB, {}))).toBeUndefined();
});
