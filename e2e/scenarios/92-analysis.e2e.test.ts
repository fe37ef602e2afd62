// A canary that is compared with its control group in a real Prometheus: it turns bad and the fleet goes back, then a good one follows through a Job, too.
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Prometheus } from '../prometheus/prometheus.ts';
import { laneInstallation } from '../runner/lane.ts';
import { type Installation, NAMESPACE, SYSTEM } from '../src/installation.ts';
import { type Fleet, waitForFleet } from '../src/observe.ts';
import { complaints, OperatorPods } from '../src/operator-pods.ts';
import { calm, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

const PORT = 9100;
/** Where pods find the Prometheus: on the node. */
const ADDRESS = `http://10.250.0.1:${Prometheus.port}`;

let floe: Installation;
let prometheus: Prometheus;
/** When the scenario began: what the logs held before is of others. */
const began = new Date().toISOString();
/** What everyone runs before the tests. */
let good = '';

/** An application with a metric; its errors are what the revision makes them. */
function application(errors: number): string {
  const program = `require('http').createServer((q, r) => r.end('app_error_ratio ${errors}\\n')).listen(${PORT})`;
  return `systemd.services.app = { wantedBy = [ "multi-user.target" ]; script = ''exec /usr/local/bin/node -e "${program}"''; };`;
}

const QUERY = 'avg(app_error_ratio{instance=~"{{machines}}"}) - avg(app_error_ratio{instance=~"{{control}}"})';

function analysed(more: object[] = []): Partial<RolloutSpec> {
  return {
    onFailure: 'Rollback',
    steps: [
      { batch: { size: 1 } },
      {
        analysis: {
          initialDelay: '3s',
          interval: '2s',
          metrics: [
            {
              name: 'errors',
              prometheus: { address: ADDRESS, query: QUERY },
              count: 2,
              successCondition: 'result < 0.1',
            },
            ...more,
          ],
        },
      },
    ] as RolloutSpec['steps'] & object,
  };
}

function statusOf(fleet: Fleet): RolloutStatus {
  return fleet.rollouts.find(({ metadata }) => metadata.name === 'fleet')?.status ?? {};
}

async function until(what: string, done: (status: RolloutStatus) => boolean): Promise<Fleet> {
  return await waitForFleet(floe, what, (seen) => done(statusOf(seen)), { timeoutSeconds: 120 });
}

async function reasonsOfEvents(): Promise<string[]> {
  const list = JSON.parse(await floe.kubectl('get', 'events', '-o', 'json')) as {
    items: { reason: string; involvedObject: { kind: string } }[];
  };
  return list.items.filter(({ involvedObject }) => involvedObject.kind === 'Rollout').map(({ reason }) => reason);
}

beforeAll(async () => {
  floe = await laneInstallation();
  good = await calm(floe, {}, application(0.01));
  const targets = await Promise.all(
    floe.machineNames.map(async (name) => ({
      targets: [`${(await floe.machine(name)).address}:${PORT}`],
      labels: { instance: name, pod: name },
    })),
  );
  prometheus = await Prometheus.start(floe.cluster, { namespace: SYSTEM, rules: [], targets });
});

afterAll(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  await calm(floe);
  const lines = (await new OperatorPods(floe).logs()).filter(({ time }) => time >= began);
  expect(complaints(lines)).toEqual([]);
});

test('a canary with more errors than its control group is taken back, and nobody else is told', async () => {
  // What the operator itself must not be asked for is an error; a dry run shows it and changes nothing.
  const local = { http: { url: 'http://127.0.0.1:9090/metrics' }, consecutiveErrorLimit: 0, dryRun: true };
  await floe.apply(rollout(analysed([{ name: 'local', ...local }])));
  const bad = await publishBuilt(floe, {}, marked(freshMarker(), application(0.4)));
  const fleet = await until('the run to be rolled back', ({ stopped, revision }) => {
    return revision === bad && stopped?.reason === 'RolledBack';
  });
  const status = statusOf(fleet);
  expect(status).toMatchObject({ phase: 'Failed', stableRevision: good });
  expect(status.stopped?.message).toContain('analysis errors failed: 0.39');
  const [errors, dry] = status.analysis?.step?.metrics ?? [];
  expect(errors).toMatchObject({ name: 'errors', phase: 'Failed', failed: 1 });
  expect(dry).toMatchObject({ name: 'local', errors: 1 });
  expect(dry?.measurements?.[0]?.message).toContain('--analysis-allow-local');
  expect(fleet.machines.map((machine) => machine.status?.current?.revision)).toEqual(floe.machineNames.map(() => good));
  expect(fleet.machines.filter((machine) => machine.status?.attempt?.revision === bad)).toEqual([]);
  expect(await reasonsOfEvents()).toEqual(
    expect.arrayContaining(['AnalysisStarted', 'MeasurementFailed', 'AnalysisFailed']),
  );
});

test('a good one goes through Prometheus, http and a Job to everyone; the Job is gone afterwards', async () => {
  const image = await floe.cluster.kubectl([
    '-n',
    SYSTEM,
    'get',
    'deployment',
    'floe-operator',
    '-o',
    'jsonpath={.spec.template.spec.containers[0].image}',
  ]);
  const command = ['node', '-e', 'process.exit(process.env.FLOE_MACHINES.split(",").length === 1 ? 0 : 1)'];
  const template = { spec: { containers: [{ name: 'check', image, imagePullPolicy: 'IfNotPresent', command }] } };
  const http = { url: `${ADDRESS}/api/v1/query?query=vector(1)`, jsonPath: '$.data.result[0].value[1]' };
  await floe.apply(
    rollout(
      analysed([
        { name: 'answer', http, successCondition: 'number(result) == 1' },
        { name: 'check', job: { spec: { template } } },
      ]),
    ),
  );
  const next = await publishBuilt(floe, {}, marked(freshMarker(), application(0.02)));
  const fleet = await waitDone(floe, next);
  const { step } = statusOf(fleet).analysis ?? {};
  expect(step).toMatchObject({ index: 1, phase: 'Successful' });
  expect(step?.metrics.map(({ name, successful }) => [name, successful])).toEqual([
    ['errors', 2],
    ['answer', 1],
    ['check', 1],
  ]);
  const left = await floe.cluster.kubectl(['-n', NAMESPACE, 'get', 'jobs', '-l', 'floe.dev/rollout', '-o', 'name']);
  expect(left.trim()).toBe('');
});
