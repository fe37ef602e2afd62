// Dashboard and alerts ask only for metrics and labels that the programs have.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { cacheMetrics } from '../operator/src/cache/metrics.ts';
import { ConfigMetrics } from '../operator/src/config/config-metrics.ts';
import { createHubMetrics } from '../operator/src/hub/hub-metrics.ts';
import { createKubeMetrics } from '../operator/src/kube/metrics.ts';
import { RolloutMetrics } from '../operator/src/rollout/rollout-metrics.ts';
import { alertRules } from './alert-rules.ts';
import { chart, helm } from './helm.ts';

/** Labels that Prometheus adds to what it scrapes, or that a histogram has. */
const FREE = ['job', 'instance', 'le'];

/** The registries of operator and cache with everything that they may show. */
function registered(): readonly [Registry, Registry] {
  const registries = [new Registry(), new Registry()] as const;
  const [operator, cache] = registries;
  collectDefaultMetrics({ register: operator });
  createKubeMetrics(operator);
  createHubMetrics(operator, { connections: () => 0, pendingWrites: () => 0, machines: () => [] });
  new ConfigMetrics(operator);
  new RolloutMetrics(operator);
  cacheMetrics(cache, { stored: () => 0, limit: () => 0, free: async () => 0, uploads: () => 0 });
  return registries;
}

/** Name to labels, of everything that operator and cache may show. */
function known(): Map<string, readonly string[]> {
  const all = registered().flatMap((registry) => registry.getMetricsAsArray()) as unknown as {
    name: string;
    labelNames?: string[];
  }[];
  return new Map(all.map(({ name, labelNames }) => [name, labelNames ?? []]));
}

type Use = { readonly metric: string; readonly labels: readonly string[] };

/** Each metric of a query with the labels that it is selected by. */
function uses(query: string): Use[] {
  const found: Use[] = [];
  for (const match of query.matchAll(/\b((?:[a-z]+_)+[a-z0-9]+)\b(?!\s*\()(?:\{([^}]*)\})?/g)) {
    const [, metric = '', selectors = ''] = match;
    if (/^(group_left|group_right|histogram_quantile)$/.test(metric)) continue;
    const labels = [...selectors.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
    found.push({ metric: metric.replace(/_(bucket|sum|count)$/, ''), labels });
  }
  return found;
}

async function queries(): Promise<[string, string][]> {
  const dashboard = JSON.parse(await readFile(join(chart, 'dashboards', 'rollouts.json'), 'utf8'));
  const alerts = await alertRules((args) => helm(...args));
  type Panel = { title: string; targets?: { expr: string }[] };
  const panels = (dashboard.panels as Panel[]).flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [`panel ${title}`, expr]),
  );
  const variables = (dashboard.templating.list as { name: string; definition?: string }[]).flatMap(
    ({ name, definition }): [string, string][] => (definition === undefined ? [] : [[`variable ${name}`, definition]]),
  );
  const rules = alerts.groups.flatMap(({ rules: all }) =>
    all.map(({ alert, expr }): [string, string] => [`alert ${alert}`, expr]),
  );
  return [...panels, ...variables, ...rules];
}

test('every metric and every label that is asked for exists', async () => {
  const metrics = known();
  const all = await queries();
  expect(all.length).toBeGreaterThan(40);
  for (const [where, query] of all) {
    const asked = uses(query.replaceAll(/\b(by|on) \([^)]*\)/g, '').replace(/^label_values\((.*)\)$/, '$1'));
    expect(asked.length, `${where}: ${query}`).toBeGreaterThan(0);
    for (const { metric, labels } of asked) {
      expect([...metrics.keys()], where).toContain(metric);
      for (const label of labels)
        expect([...(metrics.get(metric) ?? []), ...FREE], `${where}: ${metric}`).toContain(label);
    }
  }
});

test('rates use the interval that Grafana derives from the scrape interval', async () => {
  for (const [where, query] of await queries()) {
    if (!where.startsWith('panel')) continue;
    for (const [, window] of query.matchAll(/\[([^\]]+)\]/g)) expect(window, where).toBe('$__rate_interval');
  }
});

test('series that other operators have, too, are those of a target of Floe', async () => {
  const own = /[a-z0-9_]+(\{[^}]*\})?(\[[^\]]*\])?\)? and on \(job, instance\) floe_hub_connections/g;
  for (const [where, query] of await queries()) {
    const rest = query
      .replaceAll(own, '')
      .replaceAll(/\b(by|on) \([^)]*\)/g, '')
      .replace(/^label_values\((.*)\)$/, '$1');
    for (const { metric } of uses(rest)) expect(metric, `${where}: ${query}`).toMatch(/^floe_/);
  }
});

test('what an alert counts is there, as 0, before it happens for the first time', async () => {
  const texts = await Promise.all(registered().map((registry) => registry.metrics()));
  let counted = 0;
  for (const [where, query] of await queries()) {
    const counts = where.startsWith('alert')
      ? query.matchAll(/\b(?:increase|rate)\((floe_\w+)\{(\w+)=~?"([^"]+)"\}/g)
      : [];
    for (const [, metric = '', label = '', values = ''] of counts) {
      for (const value of values.split('|')) {
        counted += 1;
        expect(texts.join('\n'), where).toContain(`${metric}{${label}="${value}"} 0`);
      }
    }
  }
  expect(counted).toBeGreaterThan(5);
});
