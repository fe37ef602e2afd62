// Prometheus' text form.
import { expect, test } from 'vitest';
import { readMetrics, sumOf } from './metrics-text.ts';

const TEXT = `# HELP apiserver_request_total Counter
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",resource="nixmachines",subresource="status",verb="PATCH"} 1993
apiserver_request_total{code="409",resource="nixmachines",subresource="status",verb="PATCH"} 7
apiserver_request_total{code="200",resource="nixmachines",subresource="",verb="PATCH"} 5
apiserver_request_total_more{code="200"} 9
apiserver_registered_watchers{group="floe.dev",kind="NixMachine"} 1 1763690000000
up 1
odd{text="a \\"b\\", {c}\\n\\\\d"} 2.5e+03
broken{
`;

test('sums what the labels ask for', () => {
  const samples = readMetrics(TEXT, ['apiserver_request_total', 'apiserver_registered_watchers', 'up']);
  const status = { resource: 'nixmachines', subresource: 'status', verb: 'PATCH' };
  expect(sumOf(samples, 'apiserver_request_total', status)).toBe(2000);
  expect(sumOf(samples, 'apiserver_request_total', { ...status, code: '409' })).toBe(7);
  expect(sumOf(samples, 'apiserver_registered_watchers', { kind: 'NixMachine' })).toBe(1);
  expect(sumOf(samples, 'up', {})).toBe(1);
  expect(sumOf(samples, 'missing', {})).toBe(0);
});

test('label values may hold anything', () => {
  expect(readMetrics(TEXT, ['odd', 'broken'])).toEqual([
    { name: 'odd', labels: { text: 'a "b", {c}\n\\d' }, value: 2500 },
  ]);
});
