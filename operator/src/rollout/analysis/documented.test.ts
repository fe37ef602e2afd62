// The examples of the manual: each Rollout in the chapter on analysis is one that the API takes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRollout } from '@floe/crds/parse';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { metricsOf } from './metric.ts';

const manual = readFileSync(join(import.meta.dirname, '../../../../docs/operations.md'), 'utf8');
const chapter = manual.slice(manual.indexOf('## Analysis\n'), manual.indexOf('## Metrics\n'));

test('the Rollout of the chapter', () => {
  const blocks = [...chapter.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text ?? '');
  expect(blocks).not.toEqual([]);
  for (const block of blocks) {
    const parsed = parseRollout(parse(block));
    expect(parsed).toMatchObject({ ok: true });
    if (!parsed.ok) continue;
    const metrics = parsed.value.spec.steps?.flatMap(({ analysis }) => metricsOf(analysis, 'step')) ?? [];
    expect(metrics.map(({ name, count, intervalMs }) => [name, count, intervalMs])).toEqual([
      ['error-rate', 5, 60_000],
      ['shop', 5, 60_000],
      ['smoke-test', 1, 60_000],
    ]);
  }
});

test('the step with one source', () => {
  const [, text] = /`analysis: (\{http: .*?\})`/.exec(chapter) ?? [];
  const object = { apiVersion: 'floe.dev/v1alpha1', kind: 'Rollout', metadata: { name: 'web' } };
  const spec = { configRef: { name: 'web' }, steps: [{ analysis: parse(text ?? '') as unknown }] };
  expect(parseRollout({ ...object, spec })).toMatchObject({ ok: true });
});
