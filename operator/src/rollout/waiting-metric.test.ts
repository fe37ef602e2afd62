// The gauge of waiting machines: what it shows, and that nothing stays behind.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { WaitingMetric } from './waiting-metric.ts';

const of = { namespace: 'shop', rollout: 'web' };

test('counts machines by reason; what nobody waits for any more is 0, and a Rollout that is gone leaves nothing', async () => {
  const registry = new Registry();
  const metric = new WaitingMetric(registry);
  const shown = async () =>
    ((await registry.getMetricsAsJSON())[0]?.values ?? []).map(({ labels, value }) => `${labels['reason']} ${value}`);
  metric.observe(of, [{ reason: 'OutsideWindow' }, { reason: 'Offline' }, { reason: 'OutsideWindow' }]);
  expect(await shown()).toEqual(['OutsideWindow 2', 'Offline 1']);
  metric.observe(of, [{ reason: 'Offline' }]);
  expect(await shown()).toEqual(['OutsideWindow 0', 'Offline 1']);
  metric.forget(of);
  expect(await shown()).toEqual([]);
});
