// Every question of the dashboards and of the alerts, asked of a real Prometheus that scrapes Floe while revisions come, fail and are refused.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { alertRules } from '../../charts/alert-rules.ts';
import type { Daemon } from '../bed/daemon.ts';
import { projectDir } from '../bed/paths.ts';
import { run } from '../bed/run.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { allChosen, asked, choices, questions } from '../prometheus/dashboards.ts';
import { Prometheus, type Rule, type Series } from '../prometheus/prometheus.ts';
import { laneInstallation } from '../runner/lane.ts';
import { type Installation, NAMESPACE, SYSTEM } from '../src/installation.ts';
import { condition, waitForFleet } from '../src/observe.ts';
import { complaints, OperatorPods } from '../src/operator-pods.ts';
import { calm, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

/** Another operator that Prometheus scrapes: its series have the same names, and `foreign` in every label. */
const FOREIGN = `
const { createServer } = require('node:http');
let scrapes = 0;
createServer((_, response) => {
  scrapes += 1000;
  response.end([
    'leader_election_master_status{name="foreign"} 1',
    'workqueue_depth{name="foreign"} 1000000',
    'controller_runtime_reconcile_total{controller="foreign",result="error"} ' + scrapes,
    'controller_runtime_reconcile_errors_total{controller="foreign"} ' + scrapes,
    'rest_client_requests_total{method="foreign",code="200"} ' + scrapes,
    'process_resident_memory_bytes 1',
    'nodejs_eventloop_lag_p99_seconds 1000',
    '',
  ].join('\\n'));
}).listen(9491, '127.0.0.1');
`;
const FOREIGN_TARGET = '127.0.0.1:9491';

/** A key that no machine has. */
const STRANGE_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5VKh4T1WqdkYG8MOsR/ylwCRJT4SMuUPm4kfb+643E';

/** Panels that show something other than zero, since it was made to happen. */
const SEEN = [
  'Selected',
  'Updated',
  'Failed',
  'Not built',
  'Machines by state',
  'Unavailable, and the budget',
  'Runs that ended',
  'Connections',
  'Let in or not',
  'Machines without a closure',
  'Builds that ended',
  'Duration of runs',
  'Duration of builds',
  'Cache',
  'Reconciles',
  'Requests to the API server',
  'Status writes of the hub',
  'Who decides',
];

let floe: Installation;
/** When the scenario began: what the logs held before is of others. */
const began = new Date().toISOString();
let prometheus: Prometheus;
let foreign: Daemon;
/** A folder with the rules as the chart renders them, and their tests. */
let rulesDir: string;
let range: { from: number; to: number };

/** A good revision for all, then one that breaks a machine and cannot be built for another; then a machine with a wrong key. */
async function makeThingsHappen(): Promise<void> {
  await waitDone(floe, await publishBuilt(floe, {}, marked(freshMarker(), 'test.activationSeconds = 2;')));
  const broken = { m1: '{ test.unitFails = true; }', m5: '{ test.evaluationError = "a mistake in m5"; }' };
  const revision = await publishBuilt(floe, broken, marked(freshMarker()));
  await waitForFleet(floe, 'the broken revision to fail', ({ rollouts }) => {
    const [{ status } = {}] = rollouts;
    return status?.revision === revision && status.phase === 'Failed' && status.counts?.notBuilt === 1;
  });
  const patch = { spec: { identity: { sshHostKey: STRANGE_KEY } } };
  await floe.kubectl('patch', 'nixmachine', 'm4', '--type=merge', '-p', JSON.stringify(patch));
  await waitForFleet(floe, 'm4 to be put out for its key', ({ machines }) =>
    machines.some((machine) => machine.metadata.name === 'm4' && condition(machine, 'Online')?.status === 'False'),
  );
}

beforeAll(async () => {
  floe = await laneInstallation();
  await calm(floe);
  await new OperatorPods(floe).untilReady();
  rulesDir = join(floe.cluster.dir, 'alerts');
  await mkdir(rulesDir, { recursive: true });
  const rules = await alertRules((args) => floe.cluster.helm(args));
  // JSON is YAML.
  await writeFile(join(rulesDir, 'rules.yaml'), JSON.stringify(rules));
  await copyFile(join(projectDir, 'e2e/prometheus/alert-tests.yaml'), join(rulesDir, 'alert-tests.yaml'));
  foreign = floe.cluster.addDaemon('foreign-operator', [process.execPath, '-e', FOREIGN]);
  await foreign.start();
  prometheus = await Prometheus.start(floe.cluster, {
    namespace: SYSTEM,
    rules: [join(rulesDir, 'rules.yaml')],
    targets: [{ targets: [FOREIGN_TARGET], labels: { pod: 'foreign' } }],
    onProgress: ({ detail, state }) => console.log(`${state}: ${detail}`),
  });
  const from = Date.now() / 1000;
  await floe.apply(rollout({ successThreshold: 100 }));
  await makeThingsHappen();
  // One more scrape of everything.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  range = { from, to: Date.now() / 1000 };
});

afterAll(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  await foreign?.stop();
  await calm(floe);
  const lines = (await new OperatorPods(floe).logs()).filter(({ time }) => time >= began);
  expect(complaints(lines)).toEqual([]);
});

function numbers(series: readonly Series[]): number[] {
  return series
    .flatMap(({ values }) => values.map(([, value]) => Number(value)))
    .filter((value) => !Number.isNaN(value));
}

test.each(questions())('$dashboard, panel $panel: $expr', async ({ panel, expr }) => {
  const all = await prometheus.queryRange(asked(expr, allChosen()), range);
  expect(numbers(all).length, 'values').toBeGreaterThan(0);
  if (SEEN.includes(panel)) expect(Math.max(...numbers(all))).toBeGreaterThan(0);
  expect(JSON.stringify(all.map(({ metric }) => metric)), 'series of another operator').not.toMatch(
    new RegExp(`foreign|${FOREIGN_TARGET}`),
  );
  const one = await prometheus.queryRange(
    asked(expr, { ...allChosen(), namespace: NAMESPACE, rollout: 'fleet' }),
    range,
  );
  expect(numbers(one).length, 'values of one Rollout').toBeGreaterThan(0);
});

test('every panel that is expected to show something is there', () => {
  const panels = questions().map(({ panel }) => panel);
  expect(SEEN.filter((panel) => !panels.includes(panel))).toEqual([]);
});

test.each(choices())('$dashboard, variable $variable has choices', async ({ match, label }) => {
  expect(await prometheus.labelValues(label, asked(match, allChosen()))).toContain('fleet');
});

test('the alert rules are in order, and each was evaluated', async () => {
  await run(['promtool', 'check', 'rules', join(rulesDir, 'rules.yaml')]);
  await run(['promtool', 'test', 'rules', join(rulesDir, 'alert-tests.yaml')]);
  const rules = await waitUntil(
    async () => {
      const seen = await prometheus.rules();
      return seen.length > 0 && seen.every(({ health }) => health !== 'unknown') && seen;
    },
    { what: 'every alert rule to be evaluated', timeoutSeconds: 20 },
  );
  expect(rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`)).toEqual(
    [],
  );
});

test.each(['FloeRolloutFailed', 'FloeMachinesNotBuilt', 'FloeAgentsRefused', 'FloeConfigNotReady'])(
  'the alert %s has begun',
  async (name) => {
    const found = await waitUntil(
      async () => {
        const rule = (await prometheus.rules()).find((one) => one.name === name);
        return rule !== undefined && rule.state !== 'inactive' && rule;
      },
      { what: `the alert ${name} to be pending or firing`, timeoutSeconds: 20 },
    );
    expect(['pending', 'firing']).toContain(found.state);
  },
);

test('no alert about the operator itself has begun, though another operator fails', async () => {
  const own = ['FloeDown', 'FloeNoLeader', 'FloeReconcileErrors', 'FloeStatusWritesFail', 'FloeCacheFull'];
  const rules = await prometheus.rules();
  const begun = (rule: Rule): boolean => own.includes(rule.name) && rule.state !== 'inactive';
  expect(rules.filter(begun).map(({ name }) => name)).toEqual([]);
  expect(rules.filter(({ name }) => own.includes(name))).toHaveLength(own.length);
});

test.each([
  'workqueue_depth',
  'workqueue_adds_total',
  'workqueue_queue_duration_seconds_bucket',
  'workqueue_work_duration_seconds_bucket',
  'workqueue_unfinished_work_seconds',
  'workqueue_longest_running_processor_seconds',
  'workqueue_retries_total',
  'controller_runtime_reconcile_total',
  'controller_runtime_reconcile_errors_total',
  'controller_runtime_reconcile_time_seconds_bucket',
  'controller_runtime_active_workers',
  'controller_runtime_max_concurrent_reconciles',
  'leader_election_master_status',
  'rest_client_requests_total',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
  'floe_machines',
  'floe_hub_connections',
  'floe_rollout_info',
  'floe_builds_total',
  'floe_cache_stored_bytes',
  'floe_cache_free_bytes',
])('the metric %s, by its usual name, is there', async (name) => {
  expect((await prometheus.queryRange(name, range)).length).toBeGreaterThan(0);
});

test('of two replicas one leads, at every moment', async () => {
  const sums = await prometheus.queryRange('sum(leader_election_master_status{name="floe-operator"})', range);
  expect(new Set(numbers(sums))).toEqual(new Set([1]));
});
