// The chart as Helm renders it, for an old and a new Kubernetes.
import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { cacheFlags, cacheSettings } from '../operator/src/cache/settings.ts';
import { readFlags } from '../operator/src/flags.ts';
import { operatorFlags, operatorSettings } from '../operator/src/settings.ts';
import { alertRules } from './alert-rules.ts';
import { chart, helm } from './helm.ts';

const OLD = '1.20.2';
const NEW = '1.36.0';
const MONITORING = 'monitoring.coreos.com/v1/ServiceMonitor,monitoring.coreos.com/v1/PrometheusRule';

// biome-ignore lint/suspicious/noExplicitAny: manifests of many kinds, read field by field
type Manifest = Record<string, any>;
type Values = Readonly<Record<string, unknown>>;

async function render(values: Values = {}, kubernetes = NEW, ...more: string[]): Promise<Manifest[]> {
  const settings = Object.entries(values).flatMap(([path, value]) => [
    '--set-json',
    `${path}=${JSON.stringify(value)}`,
  ]);
  const out = await helm(
    'template',
    'floe',
    chart,
    '-n',
    'floe-system',
    '--kube-version',
    kubernetes,
    ...settings,
    ...more,
  );
  return parseAllDocuments(out).flatMap((document) => {
    expect(document.errors).toEqual([]);
    const value = document.toJS() as Manifest | null;
    return value === null ? [] : [value];
  });
}

function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((one) => one['kind'] === kind && one['metadata'].name === name);
  if (found === undefined) throw new Error(`the chart made no ${kind} ${name}`);
  return found;
}

const has = (manifests: readonly Manifest[], kind: string) => manifests.some((one) => one['kind'] === kind);

function environment(manifests: readonly Manifest[], deployment: string): Record<string, string> {
  const [container] = find(manifests, 'Deployment', deployment)['spec'].template.spec.containers;
  return Object.fromEntries(
    container.env.map((one: Manifest) => [one['name'], one['value'] ?? one['valueFrom'].fieldRef.fieldPath]),
  );
}

const VARIANTS: readonly [string, Values][] = [
  ['as it comes', {}],
  ['one replica, one namespace', { 'operator.replicas': 1, 'operator.leaderElection': false, watchNamespace: 'lab' }],
  [
    'for a small cluster',
    {
      'cache.persistence.type': 'hostPath',
      'cache.persistence.hostPath': '/var/lib/cache',
      'hub.service.clusterIP': '10.96.0.70',
      'cache.service.clusterIP': '10.96.0.71',
      'cache.publicUrl': 'http://10.96.0.71:8080',
      'build.substituters': [],
    },
  ],
  [
    'another cache',
    {
      'cache.enabled': false,
      'cache.external.url': 'file:///cache/{namespace}?compression=zstd',
      'build.volumes': [{ name: 'cache', hostPath: { path: '/cache' } }],
      'build.volumeMounts': [{ name: 'cache', mountPath: '/cache' }],
    },
  ],
  [
    'a certificate of somebody else',
    { 'tls.existingSecret': 'hub', 'tls.caCertificate': '-----BEGIN CERTIFICATE-----\nx' },
  ],
  [
    'cert-manager',
    { 'tls.certManager.enabled': true, 'tls.certManager.issuerRef': { name: 'ca', kind: 'ClusterIssuer' } },
  ],
  [
    'for the outside',
    {
      'hub.service.type': 'LoadBalancer',
      'hub.service.port': 443,
      'hub.service.loadBalancerIP': '192.0.2.10',
      'tls.names': ['floe.example.com'],
      'cache.ingress.enabled': true,
      'cache.ingress.host': 'cache.example.com',
      'cache.ingress.tlsSecret': 'cache-tls',
      'cache.publicUrl': 'https://cache.example.com/',
      'cache.maxSize': '2Ti',
    },
  ],
];
const CASES = VARIANTS.flatMap(([name, values]) => [OLD, NEW].map((version) => [name, version, values] as const));

test.each(CASES)('%s, Kubernetes %s: the operator understands its settings', async (_, version, values) => {
  const manifests = await render(values, version);
  const settings = operatorSettings([], environment(manifests, 'floe-operator'));
  expect(settings.reportUrl).toBe('https://floe-builds.floe-system.svc:8444/v1/builds');
  expect(settings.buildsPort).toBe(8444);
  expect(find(manifests, 'Service', 'floe-builds')['spec']).toMatchObject({
    type: 'ClusterIP',
    ports: [{ port: 8444 }],
  });
  expect(find(manifests, 'Service', 'floe-hub')['spec'].ports).toHaveLength(1);
  expect(settings.cacheSubstituter).toContain('/{namespace}');
  expect(settings.cacheSubstituter).not.toContain('?');
  expect(settings.leaderElection).toBe(values['operator.replicas'] !== 1);
});

test('pods alone may dial the port of build reports, everybody that of the hub', async () => {
  const { ingress, podSelector } = find(await render(), 'NetworkPolicy', 'floe-operator')['spec'];
  expect(podSelector.matchLabels).toMatchObject({ 'app.kubernetes.io/component': 'operator' });
  const withPort = (port: string) =>
    ingress.filter((rule: Manifest) => rule['ports'].some((one: Manifest) => one['port'] === port));
  expect(withPort('builds')).toMatchObject([{ from: [{ namespaceSelector: {} }] }]);
  expect(withPort('https')).toHaveLength(1);
  expect(withPort('https')[0].from).toBeUndefined();
  expect(has(await render({ 'operator.networkPolicy': false }), 'NetworkPolicy')).toBe(false);
});

test('the cache understands its settings', async () => {
  const manifests = await render({ 'cache.maxSize': '2Ti', 'cache.uploadTokenSecret': 'upload' });
  const settings = cacheSettings(readFlags(cacheFlags, [], environment(manifests, 'floe-cache')));
  expect(settings).toMatchObject({
    directory: '/cache',
    port: 8080,
    httpPort: 9090,
    maxBytes: 2 * 2 ** 40,
    uploadTokenFile: '/etc/floe/upload/token',
    tokenReview: true,
  });
});

test('every variable that the chart sets is one that the program reads', async () => {
  const manifests = await render({ 'cache.uploadTokenSecret': 'upload' });
  for (const [deployment, flags] of [
    ['floe-operator', operatorFlags],
    ['floe-cache', cacheFlags],
  ] as const) {
    const known = flags.map(({ env }) => env);
    for (const name of Object.keys(environment(manifests, deployment))) expect(known).toContain(name);
  }
});

test.each(CASES)('%s, Kubernetes %s: every pod is confined', async (_, version, values) => {
  for (const deployment of (await render(values, version)).filter((one) => one['kind'] === 'Deployment')) {
    const { securityContext, containers, volumes } = deployment['spec'].template.spec;
    expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    const names = volumes.map((one: Manifest) => one['name']);
    for (const container of containers) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      for (const mount of container.volumeMounts) expect(names).toContain(mount.name);
    }
  }
});

test.each([
  [OLD, false],
  [NEW, true],
])('Kubernetes %s gets CRDs, with CEL rules: %s', async (version, cel) => {
  const crds = (await render({}, version)).filter((one) => one['kind'] === 'CustomResourceDefinition');
  expect(crds.map((one) => one['metadata'].name).sort()).toEqual([
    'nixconfigs.floe.dev',
    'nixmachines.floe.dev',
    'rollouts.floe.dev',
  ]);
  expect(JSON.stringify(crds).includes('x-kubernetes-validations')).toBe(cel);
  for (const crd of crds) {
    expect(crd['metadata'].annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    const folder = cel ? 'with-cel' : 'without-cel';
    const file = join(chart, 'crds-files', folder, `floe.dev_${crd['spec'].names.plural}.yaml`);
    expect(crd['spec']).toEqual(parse(await readFile(file, 'utf8')).spec);
  }
});

test('the CRDs in the chart are the generated ones', async () => {
  for (const [folder, origin] of [
    ['with-cel', 'yaml'],
    ['without-cel', 'yaml-without-cel'],
  ] as const) {
    const generated = join(chart, '..', '..', 'crds', origin);
    for (const name of await readdir(generated)) {
      const copy = await readFile(join(chart, 'crds-files', folder, name), 'utf8');
      expect(copy, `${folder}/${name}: run npm run generate`).toBe(await readFile(join(generated, name), 'utf8'));
    }
  }
});

test('CRDs can be left to somebody else', async () => {
  expect(has(await render({ 'crds.install': false }), 'CustomResourceDefinition')).toBe(false);
});

test('the certificate names what machines dial, and the published CA signed it', async () => {
  const manifests = await render({
    'hub.service.clusterIP': '10.96.0.70',
    'tls.names': ['floe.example.com'],
    'tls.addresses': ['192.0.2.7'],
  });
  const secret = find(manifests, 'Secret', 'floe-hub-tls')['data'];
  const certificate = new X509Certificate(Buffer.from(secret['tls.crt'], 'base64'));
  const ca = new X509Certificate(find(manifests, 'ConfigMap', 'floe-hub-ca')['data']['ca.crt']);
  for (const name of ['floe-hub.floe-system.svc', 'floe.example.com', 'localhost']) {
    expect(certificate.checkHost(name), name).toBe(name);
  }
  for (const address of ['10.96.0.70', '192.0.2.7', '127.0.0.1']) {
    expect(certificate.checkIP(address), address).toBe(address);
  }
  expect(certificate.verify(ca.publicKey)).toBe(true);
  expect(ca.ca).toBe(true);
});

test('without a Secret of its own the chart makes no key', async () => {
  for (const values of [
    { 'tls.existingSecret': 'hub' },
    VARIANTS.find(([name]) => name === 'cert-manager')?.[1] ?? {},
  ]) {
    expect(has(await render(values), 'Secret')).toBe(false);
  }
});

test('an old Kubernetes gets an old PodDisruptionBudget, one replica none', async () => {
  expect(find(await render({}, OLD), 'PodDisruptionBudget', 'floe-operator')['apiVersion']).toBe('policy/v1beta1');
  expect(find(await render(), 'PodDisruptionBudget', 'floe-operator')['apiVersion']).toBe('policy/v1');
  expect(has(await render({ 'operator.replicas': 1 }), 'PodDisruptionBudget')).toBe(false);
});

test('with one namespace to look after there is no right in the others', async () => {
  const manifests = await render({ watchNamespace: 'lab', 'rbac.aggregate': false });
  const clusterWide = manifests.filter((one) => one['kind'] === 'ClusterRole').flatMap((one) => one['rules']);
  expect(clusterWide).toEqual([
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  ]);
  expect(find(manifests, 'Role', 'floe-operator')['metadata'].namespace).toBe('lab');
});

test('nobody may list Secrets or change a spec', async () => {
  const rules = (await render())
    .filter((one) => /^(Cluster)?Role$/.test(one['kind']) && /operator|cache/.test(one['metadata'].name))
    .flatMap((one) => one['rules'] as Manifest[]);
  const verbsOn = (resource: string) =>
    rules.filter((rule) => rule['resources'].includes(resource)).flatMap((rule) => rule['verbs']);
  expect(verbsOn('secrets')).toEqual(['get', 'create']);
  for (const kind of ['nixconfigs', 'nixmachines', 'rollouts']) expect(verbsOn(kind)).toEqual(['get', 'list', 'watch']);
  expect(JSON.stringify(rules)).not.toContain('*');
});

test('what the Prometheus operator reads is made where it is there', async () => {
  const wanted = { 'metrics.serviceMonitor.enabled': true, 'metrics.prometheusRule.enabled': true };
  const without = await render(wanted);
  expect([has(without, 'ServiceMonitor'), has(without, 'PrometheusRule')]).toEqual([false, false]);
  const withIt = await render(wanted, NEW, '--api-versions', MONITORING);
  expect(find(withIt, 'ServiceMonitor', 'floe')['spec'].endpoints[0].honorLabels).toBe(true);
  expect(find(withIt, 'PrometheusRule', 'floe')['spec'].groups.length).toBeGreaterThan(0);
});

const rulesOf = async (values: Values = {}) =>
  (await alertRules((args) => helm(...args), values)).groups.flatMap(({ rules }) => rules);

test('every alert has a runbook, and its URL where the pages are published', async () => {
  const runbooks = await readdir(join(chart, '..', '..', 'docs', 'runbooks'));
  const published = await rulesOf({ 'metrics.prometheusRule.runbookUrl': 'https://docs.example.com/floe/runbooks/' });
  const plain = await rulesOf();
  for (const [at, { alert, annotations }] of published.entries()) {
    expect(runbooks).toContain(`${alert.toLowerCase()}.md`);
    expect(annotations['runbook_url']).toBe(`https://docs.example.com/floe/runbooks/${alert.toLowerCase()}.md`);
    expect(annotations['summary']).toBeTypeOf('string');
    // What is no URL leads nowhere.
    expect(plain[at]?.annotations).not.toHaveProperty('runbook_url');
  }
  expect(published.length).toBeGreaterThan(10);
  expect(JSON.stringify(plain)).not.toMatch(/THRESHOLD|EXCEPT|threshold/);
});

test('thresholds, times, severities and namespaces of alerts can be changed, and alerts left out', async () => {
  const rules = await rulesOf({
    'metrics.prometheusRule.alerts': {
      FloeMachinesOffline: { threshold: 0.6, for: '1h', severity: 'info', exceptNamespaces: ['laptops', 'lab'] },
      FloeRolloutPaused: { enabled: false },
      FloeMachinesUnhealthy: { threshold: 0 },
    },
  });
  const named = (name: string) => rules.find(({ alert }) => alert === name);
  expect(named('FloeRolloutPaused')).toBeUndefined();
  expect(named('FloeMachinesUnhealthy')?.expr).toMatch(/> 0$/);
  expect(named('FloeMachinesOffline')).toMatchObject({ for: '1h', labels: { severity: 'info' } });
  expect(named('FloeMachinesOffline')?.expr).toContain('> 0.6 * max');
  expect(named('FloeMachinesOffline')?.expr.match(/namespace!~"laptops\|lab"/g)).toHaveLength(3);
  expect(named('FloeMachinesDrifted')?.expr).toContain('namespace!~""');
});

test.each([
  ['an alert that does not exist', { FloeMachineOffline: { threshold: 1 } }, 'FloeMachinesOffline'],
  ['a threshold where there is none', { FloeDown: { threshold: 1 } }, 'FloeDown'],
  ['namespaces where there are none', { FloeDown: { exceptNamespaces: ['lab'] } }, 'FloeDown'],
  ['a time that is none', { FloeDown: { for: '5 min' } }, 'for'],
])('alerts: %s is refused', async (_, alerts, named) => {
  await expect(rulesOf({ 'metrics.prometheusRule.alerts': alerts })).rejects.toThrow(named);
});

test('without an election there is one replica, which ends before the next one starts', async () => {
  const manifests = await render({ 'operator.leaderElection': false });
  const { replicas, strategy } = find(manifests, 'Deployment', 'floe-operator')['spec'];
  expect({ replicas, strategy }).toEqual({ replicas: 1, strategy: { type: 'Recreate' } });
  expect(has(manifests, 'PodDisruptionBudget')).toBe(false);
  const none = await render({ 'operator.leaderElection': false, 'operator.replicas': 0 });
  expect(find(none, 'Deployment', 'floe-operator')['spec'].replicas).toBe(0);
  const elected = find(await render(), 'Deployment', 'floe-operator')['spec'];
  expect(elected).toMatchObject({ replicas: 2, strategy: { rollingUpdate: { maxUnavailable: 0 } } });
});

test('the dashboard reaches Grafana as it is', async () => {
  const map = find(await render(), 'ConfigMap', 'floe-dashboard');
  expect(map['metadata'].labels.grafana_dashboard).toBe('1');
  const file = await readFile(join(chart, 'dashboards', 'rollouts.json'), 'utf8');
  expect(map['data']['floe-rollouts.json']).toBe(file);
  expect(JSON.parse(file).title).toBe('Floe rollouts');
});

test.each([
  ['a value that does not exist', 'operator.replicaz', 3, 'replicaz'],
  ['a URL that is none', 'cache.publicUrl', 'cache.example.com', 'publicUrl'],
  ['no cache at all', 'cache.enabled', false, 'cache.external.url'],
  ['a hostPath without a path', 'cache.persistence.type', 'hostPath', 'cache.persistence.hostPath'],
  ['a page that is no URL', 'metrics.prometheusRule.runbookUrl', 'docs/runbooks', 'runbookUrl'],
  ['an Ingress without a host', 'cache.ingress.enabled', true, 'cache.ingress.host'],
])('%s is refused, and the message names the value', async (_, path, value, named) => {
  await expect(render({ [path]: value })).rejects.toThrow(named);
});

test('an issuer of cert-manager has a name', async () => {
  for (const issuerRef of [{}, { kind: 'ClusterIssuer' }]) {
    const values = { 'tls.certManager.enabled': true, 'tls.certManager.issuerRef': issuerRef };
    await expect(render(values)).rejects.toThrow('tls.certManager.issuerRef');
  }
});

test('labels that repeat a standard one are one key, and never those by which objects are found', async () => {
  const labels = { 'app.kubernetes.io/part-of': 'infra', 'app.kubernetes.io/name': 'other', team: 'a' };
  const more = { team: 'b', 'app.kubernetes.io/instance': 'other' };
  // `render` refuses documents with a key twice.
  const manifests = await render(
    {
      commonLabels: labels,
      'operator.podLabels': more,
      'cache.podLabels': more,
      'metrics.dashboard.labels': more,
      'metrics.serviceMonitor': { enabled: true, labels: more },
      'metrics.prometheusRule': { enabled: true, labels: more },
    },
    NEW,
    '--api-versions',
    MONITORING,
  );
  for (const name of ['floe-operator', 'floe-cache']) {
    const { metadata, spec } = find(manifests, 'Deployment', name);
    expect(metadata.labels).toMatchObject({ team: 'a', 'app.kubernetes.io/part-of': 'infra' });
    expect(spec.template.metadata.labels).toMatchObject({ team: 'b', ...spec.selector.matchLabels });
    expect(spec.selector.matchLabels['app.kubernetes.io/name']).toBe('floe');
  }
  expect(find(manifests, 'ServiceMonitor', 'floe')['metadata'].labels.team).toBe('b');
});

test('lint has nothing to complain of', async () => {
  expect(await helm('lint', chart, '--strict')).toContain('0 chart(s) failed');
});
