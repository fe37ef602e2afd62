// `npm run test:newest`: today's API server takes the CustomResourceDefinitions, and its CEL rules refuse what they shall, in words of ours.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Cluster } from '../bed/cluster.ts';
import { ensureHost } from '../bed/ensure-host.ts';
import { ensureNewest, NewestServer } from '../bed/newest.ts';
import { projectDir } from '../bed/paths.ts';
import { green, red, stepPrinter } from './terminal.ts';

type Case = {
  readonly name: string;
  readonly plural: string;
  readonly kind: string;
  readonly spec: object;
  /** Part of the refusal; absent: it is accepted. */
  readonly refusal?: string;
};

const http = { url: 'http://shop.example' };
const inline = { inline: { files: { 'flake.nix': '{ }' } } };
const config = (name: string, spec: object, refusal?: string): Case => ({
  name,
  plural: 'nixconfigs',
  kind: 'NixConfig',
  spec,
  ...(refusal === undefined ? {} : { refusal }),
});
const machine = (name: string, spec: object, refusal?: string): Case => ({
  ...config(name, { configRef: { name: 'web' }, ...spec }, refusal),
  plural: 'nixmachines',
  kind: 'NixMachine',
});
const rollout = (name: string, spec: object, refusal?: string): Case => ({
  ...config(name, { configRef: { name: 'web' }, ...spec }, refusal),
  plural: 'rollouts',
  kind: 'Rollout',
});

const CASES: readonly Case[] = [
  config('a NixConfig with files of its own', { source: inline }),
  config('two sources', { source: { ...inline, flake: 'x' } }, 'spec.source: set exactly one of flake, git, inline'),
  config('no source', { source: {} }, 'spec.source: set exactly one of flake, git, inline'),
  config('files without flake.nix', { source: { inline: { files: { a: '' } } } }, 'add a file flake.nix'),
  config(
    'branch and tag',
    { source: { git: { url: 'https://x', ref: { branch: 'a', tag: 'b' } } } },
    'spec.source.git.ref: set exactly one of branch, tag, commit',
  ),
  config('an interval that is none', { source: inline, interval: 'often' }, 'spec.interval'),
  machine('a NixMachine', { activation: { healthChecks: [{ name: 'a', systemd: { units: ['a.service'] } }] } }),
  machine(
    'a check of no kind',
    { activation: { healthChecks: [{ name: 'a' }] } },
    'spec.activation.healthChecks[]: set exactly one of systemd',
  ),
  machine('a NixMachine with everything', {
    timeZone: 'Europe/Berlin',
    owners: ['ada@example.org'],
    presence: 'Coarse',
    secrets: [{ name: 'token', secretRef: { name: 'app', key: 'token' }, owner: 'app', mode: '0440' }],
    activation: {
      reboot: 'InWindow',
      confirm: 'WhenOnline',
      specialisation: 'docked',
      drift: 'Revert',
      consent: 'Ask',
      deferLimit: '48h',
      rollback: { timeout: '5m', rebootAfter: '2m', degraded: 'Keep' },
      generations: { keep: 10 },
      healthChecks: [
        { name: 'http', http: { url: 'https://localhost/healthz' }, grace: '5s', interval: '2s', successes: 2 },
        { name: 'tcp', tcp: { port: 22 } },
        { name: 'own', named: 'database' },
      ],
    },
  }),
  machine(
    'two secrets in one file',
    { secrets: ['a', 'b'].map((key) => ({ name: 'token', secretRef: { name: 'app', key } })) },
    'Duplicate value',
  ),
  machine(
    'a secret that leaves its folder',
    { secrets: [{ name: '../x', secretRef: { name: 'a', key: 'b' } }] },
    'secrets',
  ),
  machine('generations of nothing', { activation: { generations: {} } }, 'set keep, maxAge or both'),
  machine('an unknown consent', { activation: { consent: 'Maybe' } }, 'spec.activation.consent'),
  machine('a host key that is none', { identity: { sshHostKey: 'ssh-rsa AAAA' } }, 'spec.identity.sshHostKey'),
  rollout('a Rollout', {
    steps: [{ batch: { size: 1 } }, { pause: {} }, { batch: { size: '10%' } }],
    maxUnavailable: '20%',
  }),
  rollout(
    'a step of two kinds',
    { steps: [{ batch: { size: 1 }, pause: {} }] },
    'spec.steps[]: set exactly one of batch, pause',
  ),
  rollout('a step of no kind', { steps: [{}] }, 'spec.steps[]: set exactly one of batch, pause, analysis'),
  rollout('an analysis of one metric, and the background without any', {
    steps: [{ analysis: { http, interval: '10s', count: 3, successCondition: 'result < 1' } }],
    analysis: {},
  }),
  rollout('an analysis of several metrics, a Job among them', {
    steps: [
      {
        analysis: {
          count: 2,
          metrics: [
            { name: 'a', http },
            { name: 'b', job: { spec: { template: {} } } },
          ],
        },
      },
    ],
  }),
  rollout(
    'an analysis of nothing',
    { steps: [{ analysis: {} }] },
    'spec.steps[].analysis: set exactly one of prometheus, http, job, metrics',
  ),
  rollout(
    'a metric from two sources',
    { steps: [{ analysis: { metrics: [{ name: 'a', http, job: { spec: {} } }] } }] },
    'metrics[]: set exactly one of prometheus, http, job',
  ),
  rollout(
    'two sources in the background',
    { analysis: { http, job: { spec: {} } } },
    'spec.analysis: set one of prometheus, http, job, metrics',
  ),
  rollout('a batch of nothing', { steps: [{ batch: {} }] }, 'set size, selector or both'),
  rollout('a batch of 0', { steps: [{ batch: { size: 0 } }] }, 'use a count above 0'),
  rollout('a batch of 0 %', { steps: [{ batch: { size: '0%' } }] }, 'use a count above 0'),
  rollout('a batch of 101 %', { steps: [{ batch: { size: '101%' } }] }, 'use a count above 0'),
  rollout('a budget of 0', { maxUnavailable: 0 }, 'use a count above 0'),
  rollout('a budget of words', { maxUnavailable: 'all' }, 'use a count above 0'),
  rollout('budgets, windows, freezes, dependencies and an order', {
    budgets: [
      { name: 'db', selector: { matchLabels: { app: 'db' } }, groupBy: 'shard', maxUnavailable: 1 },
      { minAvailable: '60%' },
    ],
    windows: [{ cron: '0 22 * * 1-5', duration: '4h', timeZone: 'Europe/Berlin', actions: ['Switch', 'Reboot'] }],
    freezes: [{ from: '2026-12-24T00:00:00Z', to: '2027-01-02T00:00:00Z', reason: 'holidays' }],
    dependsOn: [{ name: 'db' }],
    order: { label: 'rack' },
    maxRebooting: '10%',
    onFailure: 'Continue',
    progressDeadline: '2h',
  }),
  rollout(
    'a budget of both kinds',
    { budgets: [{ maxUnavailable: 1, minAvailable: 1 }] },
    'spec.budgets[]: set exactly one of',
  ),
  rollout('a budget of no kind', { budgets: [{ groupBy: 'shard' }] }, 'spec.budgets[]: set exactly one of'),
  rollout(
    'a window for something else',
    { windows: [{ cron: '0 22 * * *', duration: '1h', actions: ['Sleep'] }] },
    'actions',
  ),
  rollout('an unknown way to fail', { onFailure: 'Panic' }, 'spec.onFailure'),
  rollout('a threshold above 100', { successThreshold: 101 }, 'spec.successThreshold'),
];

const path = (plural: string): string => `/apis/floe.dev/v1alpha1/namespaces/default/${plural}`;

/** What is wrong with the server's answer; undefined: nothing. */
async function wrongWith(server: NewestServer, given: Case, index: number): Promise<string | undefined> {
  const { plural, kind, spec, refusal } = given;
  const object = { apiVersion: 'floe.dev/v1alpha1', kind, metadata: { name: `case-${index}` }, spec };
  const { status, body } = await server.request('POST', path(plural), object);
  const said = JSON.stringify(body);
  if (refusal === undefined) return status === 201 ? undefined : `refused: ${said}`;
  if (status !== 422) return `answered ${status}, a refusal was expected`;
  return said.includes(JSON.stringify(refusal).slice(1, -1)) ? undefined : `refused in other words: ${said}`;
}

/** A Rollout's config can't be changed once it is made. */
async function immutable(server: NewestServer): Promise<string | undefined> {
  const first = {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'fixed' },
    spec: { configRef: { name: 'web' } },
  };
  const made = await server.request('POST', path('rollouts'), first);
  const body = { ...(made.body as object), spec: { configRef: { name: 'db' } } };
  const { status, body: answer } = await server.request('PUT', `${path('rollouts')}/fixed`, body);
  const said = JSON.stringify(answer);
  return status === 422 && said.includes('spec.configRef is immutable') ? undefined : `answered ${status}: ${said}`;
}

async function definitions(): Promise<Parameters<NewestServer['createDefinitions']>[0]> {
  const dir = join(projectDir, 'crds/yaml');
  const files = await readdir(dir);
  return Promise.all(files.map(async (file) => parse(await readFile(join(dir, file), 'utf8'))));
}

console.log("CEL rules on today's API server, built once from Debian sid: about 7 minutes the first time, then 20 s.");
const onProgress = stepPrinter();
await ensureHost({ onProgress });
await ensureNewest({ onProgress });
const cluster = await Cluster.open({ name: `newest-${process.pid}`, endsWithParent: true });
let passed = 0;
let failed = 0;
const tell = (name: string, wrong: string | undefined): void => {
  if (wrong === undefined) passed += 1;
  else failed += 1;
  console.log(wrong === undefined ? `  ${green('✔')} ${name}` : `  ${red('✘')} ${name}: ${wrong}`);
};
try {
  await cluster.up({ onProgress });
  const server = await NewestServer.start(cluster);
  await server.createDefinitions(await definitions());
  tell('the definitions are accepted, the cost of their rules included', undefined);
  for (const [index, given] of CASES.entries()) {
    const name = given.refusal === undefined ? given.name : `${given.name} is refused`;
    tell(name, await wrongWith(server, given, index));
  }
  tell('configRef of a Rollout is immutable', await immutable(server));
} catch (error) {
  tell('the definitions are accepted', error instanceof Error ? error.message : String(error));
} finally {
  await cluster.destroy();
}
process.exitCode = failed === 0 ? 0 : 1;
console.log(`\n${passed} passed, ${failed} failed`);
