// Waiting for the Rollout, against an API server in memory.
import type { Rollout } from '@floe/crds/rollout';
import { rollouts } from '@floe/operator/kube/resource';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApiServer } from '../fake-apiserver/fake-api-server.ts';
import { rolloutObject } from './objects.ts';
import { describeRollout, waitForRollout } from './rollout-watch.ts';

let api: FakeApiServer;

beforeEach(async () => {
  api = await FakeApiServer.start();
});

afterEach(() => api.close());

function say(status: Rollout['status']): void {
  api.seed(rollouts, { ...rolloutObject(), ...(status === undefined ? {} : { status }) });
}

const isCompleted = ({ status }: Rollout): boolean => status?.phase === 'Completed';

function wait(seconds = 20): Promise<Rollout> {
  const { signal } = new AbortController();
  return waitForRollout(api.client(), { done: isCompleted, seconds, signal });
}

test('what is so already needs no watch', async () => {
  say({ phase: 'Completed' });
  expect((await wait()).status?.phase).toBe('Completed');
});

test('a change ends the waiting, also after the watch was cut', async () => {
  say({ phase: 'Progressing' });
  const waiting = wait();
  setTimeout(() => api.watches.end(), 50);
  setTimeout(() => say({ phase: 'Completed', revision: 'b' }), 100);
  expect((await waiting).status?.revision).toBe('b');
});

test('a Rollout that failed ends it with its message', async () => {
  say({ phase: 'Failed', revision: 'b' });
  await expect(wait()).rejects.toThrow('the Rollout failed: Failed, revision b, 0 of 0 updated');
});

test('the limit ends it with what was seen last', async () => {
  say({ phase: 'Progressing', revision: 'b' });
  await expect(wait(0.2)).rejects.toThrow('waited 0.2 s for the Rollout: Progressing, revision b');
});

test('a Rollout without status is described, too', () => {
  expect(describeRollout(undefined)).toBe('no phase, revision -, 0 of 0 updated, 0 offline');
});
