import { parseBuildError } from '@floe/crds/parse';
import { expect, test } from 'vitest';
import { BuildFailure, terminationMessage } from './failure.ts';

test('last words are short enough for Kubernetes, and parse', () => {
  const failure = new BuildFailure('ü'.repeat(10_000), { field: 'f'.repeat(500), remedy: 'r'.repeat(5000) });
  const text = terminationMessage(failure);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
  expect(parseBuildError(JSON.parse(text)).ok).toBe(true);
});

test('an unexpected error is one too, without secrets', () => {
  const said = JSON.parse(terminationMessage(new TypeError('GET https://me:pw@host/x')));
  expect(said).toEqual({ error: 'GET https://host/x', remedy: expect.stringContaining('unexpected') });
});
