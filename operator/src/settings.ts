// The settings of `floe operator`: flags or FLOE_* variables, checked once at the start.
import { hostname } from 'node:os';
import { type Flag, type FlagValues, readFlags, SettingError } from './flags.ts';

/** A further substituter of build Jobs, with the keys that sign there. */
export type Substituter = { url: string; publicKeys: string[] };

export type OperatorSettings = {
  /** Namespace that the operator runs in: its Leases lie there. */
  readonly namespace: string;
  /** Name of this replica, unique among the replicas. */
  readonly replica: string;
  /** Namespace to watch; undefined: all. */
  readonly watchNamespace: string | undefined;
  readonly leaderElection: boolean;
  readonly httpsPort: number;
  /** Port of build reports, inside the cluster only. */
  readonly buildsPort: number;
  readonly httpPort: number;
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  /** Seconds at most that a replica which ends stays for machines in mid-attempt. */
  readonly drainSeconds: number;
  /** Image of build Jobs: the one that the operator runs from. */
  readonly image: string;
  readonly imagePullPolicy: string;
  /** Store URL that build Jobs push to, with `{namespace}`. */
  readonly cacheUrl: string;
  /** URL that machines and build Jobs fetch from, with `{namespace}`. */
  readonly cacheSubstituter: string;
  readonly substituters: readonly Substituter[];
  /** Where build Jobs report, `https://…/v1/builds`. */
  readonly reportUrl: string;
  /** PEM of the CA that build Jobs check the report's server with; undefined: the system's. */
  readonly reportCaFile: string | undefined;
  readonly buildVolumes: { volumes: unknown[]; volumeMounts: unknown[] };
  readonly buildServiceAccount: string | undefined;
  /** Whether analysis may ask loopback, link-local and metadata addresses. */
  readonly analysisAllowLocal: boolean;
  readonly logLevel: string;
  readonly kubeconfig: string | undefined;
};

export const operatorFlags: readonly Flag[] = [
  {
    name: 'namespace',
    env: 'FLOE_NAMESPACE',
    type: 'string',
    default: 'floe-system',
    description: 'Namespace that the operator runs in; its Leases lie there.',
  },
  {
    name: 'pod-name',
    env: 'FLOE_POD_NAME',
    type: 'string',
    default: hostname(),
    description: 'Name of this replica, unique among them.',
  },
  {
    name: 'watch-namespace',
    env: 'FLOE_WATCH_NAMESPACE',
    type: 'string',
    description: 'Namespace to look after; empty: all.',
  },
  {
    name: 'leader-election',
    env: 'FLOE_LEADER_ELECTION',
    type: 'boolean',
    default: 'true',
    description: 'Elect the replica that decides; off only where there is one.',
  },
  {
    name: 'https-port',
    env: 'FLOE_HTTPS_PORT',
    type: 'integer',
    default: '8443',
    description: 'Port of the hub, which machines dial (TLS).',
  },
  {
    name: 'builds-port',
    env: 'FLOE_BUILDS_PORT',
    type: 'integer',
    default: '8444',
    description: 'Port of build reports (TLS). It is for pods of the cluster alone: publish it nowhere.',
  },
  {
    name: 'http-port',
    env: 'FLOE_HTTP_PORT',
    type: 'integer',
    default: '9090',
    description: 'Port of /metrics, /healthz and /readyz (plain HTTP).',
  },
  {
    name: 'tls-cert',
    env: 'FLOE_TLS_CERT',
    type: 'string',
    required: true,
    description: 'File with the certificate chain of the hub, PEM.',
  },
  {
    name: 'tls-key',
    env: 'FLOE_TLS_KEY',
    type: 'string',
    required: true,
    description: 'File with its private key, PEM.',
  },
  {
    name: 'drain-seconds',
    env: 'FLOE_DRAIN_SECONDS',
    type: 'integer',
    default: '20',
    description: 'Seconds at most that a replica which ends stays for machines in mid-attempt; less than its pod gets.',
  },
  {
    name: 'image',
    env: 'FLOE_IMAGE',
    type: 'string',
    required: true,
    description: 'Image of build Jobs; the one that the operator runs from.',
  },
  {
    name: 'image-pull-policy',
    env: 'FLOE_IMAGE_PULL_POLICY',
    type: 'string',
    default: 'IfNotPresent',
    description: 'Pull policy of build Jobs: Always, IfNotPresent or Never.',
  },
  {
    name: 'cache-url',
    env: 'FLOE_CACHE_URL',
    type: 'string',
    required: true,
    description: 'Store URL that build Jobs push to, as `nix copy --to` takes it; {namespace} is replaced.',
  },
  {
    name: 'cache-substituter',
    env: 'FLOE_CACHE_SUBSTITUTER',
    type: 'string',
    description: 'URL that machines fetch from; {namespace} is replaced. Empty: the cache URL without its query.',
  },
  {
    name: 'substituters',
    env: 'FLOE_SUBSTITUTERS',
    type: 'string',
    default: '[]',
    description:
      'Further substituters of build Jobs, JSON: [{"url": "https://cache.nixos.org", "publicKeys": ["cache.nixos.org-1:…"]}].',
  },
  {
    name: 'report-url',
    env: 'FLOE_REPORT_URL',
    type: 'string',
    required: true,
    description: 'Where build Jobs report: https://SERVICE.NAMESPACE.svc:8444/v1/builds, which leads to --builds-port.',
  },
  {
    name: 'report-ca-file',
    env: 'FLOE_REPORT_CA_FILE',
    type: 'string',
    description: 'File with the CA that build Jobs check that server with, PEM.',
  },
  {
    name: 'build-volumes',
    env: 'FLOE_BUILD_VOLUMES',
    type: 'string',
    description:
      'Volumes of build Jobs, JSON: {"volumes": […], "volumeMounts": […]}; mounted in `push`, for a file:// cache.',
  },
  {
    name: 'build-service-account',
    env: 'FLOE_BUILD_SERVICE_ACCOUNT',
    type: 'string',
    description: "Service account of build Jobs; empty: the namespace's default.",
  },
  {
    name: 'analysis-allow-local',
    env: 'FLOE_ANALYSIS_ALLOW_LOCAL',
    type: 'boolean',
    default: 'false',
    description: 'Let the analysis of a Rollout ask loopback, link-local and metadata addresses, too.',
  },
  {
    name: 'log-level',
    env: 'FLOE_LOG_LEVEL',
    type: 'string',
    default: 'info',
    description: 'trace, debug, info, warn or error.',
  },
  {
    name: 'kubeconfig',
    env: 'KUBECONFIG',
    type: 'string',
    description: 'Kubeconfig file; empty: the service account of the pod, else ~/.kube/config.',
  },
];

function oneOf(values: FlagValues, name: string, allowed: readonly string[]): string {
  const value = values.need(name);
  if (!allowed.includes(value)) {
    throw new SettingError(`--${name}`, `${JSON.stringify(value)} is not known`, `use one of ${allowed.join(', ')}`);
  }
  return value;
}

function substituters(values: FlagValues): Substituter[] {
  const list = values.json('substituters', []);
  const fine =
    Array.isArray(list) && list.every((item) => typeof item?.url === 'string' && Array.isArray(item?.publicKeys ?? []));
  if (!fine) throw new SettingError('--substituters', 'has another form', 'give [{"url": "…", "publicKeys": ["…"]}]');
  return list.map((item) => ({ url: item.url, publicKeys: item.publicKeys ?? [] }));
}

function buildVolumes(values: FlagValues): { volumes: unknown[]; volumeMounts: unknown[] } {
  const given = values.json('build-volumes', {}) as { volumes?: unknown; volumeMounts?: unknown } | null;
  const { volumes = [], volumeMounts = [] } = given ?? {};
  if (!Array.isArray(volumes) || !Array.isArray(volumeMounts)) {
    throw new SettingError('--build-volumes', 'has another form', 'give {"volumes": […], "volumeMounts": […]}');
  }
  return { volumes, volumeMounts };
}

function url(values: FlagValues, name: string): string {
  const value = values.need(name);
  if (!URL.canParse(value.replaceAll('{namespace}', 'x'))) {
    throw new SettingError(`--${name}`, `${JSON.stringify(value)} is not a URL`, 'give one with its scheme');
  }
  return value;
}

/**
 * The settings of the operator.
 * @throws SettingError that names the flag and the remedy
 */
export function operatorSettings(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): OperatorSettings {
  const values = readFlags(operatorFlags, argv, env);
  const cacheUrl = url(values, 'cache-url');
  return {
    namespace: values.need('namespace'),
    replica: values.need('pod-name'),
    watchNamespace: values.text('watch-namespace'),
    leaderElection: values.boolean('leader-election'),
    httpsPort: values.integer('https-port'),
    buildsPort: values.integer('builds-port'),
    httpPort: values.integer('http-port'),
    tlsCertFile: values.need('tls-cert'),
    tlsKeyFile: values.need('tls-key'),
    drainSeconds: values.integer('drain-seconds'),
    image: values.need('image'),
    imagePullPolicy: oneOf(values, 'image-pull-policy', ['Always', 'IfNotPresent', 'Never']),
    cacheUrl,
    cacheSubstituter: values.text('cache-substituter') ?? cacheUrl.split('?', 1)[0] ?? '',
    substituters: substituters(values),
    reportUrl: url(values, 'report-url'),
    reportCaFile: values.text('report-ca-file'),
    buildVolumes: buildVolumes(values),
    buildServiceAccount: values.text('build-service-account'),
    analysisAllowLocal: values.boolean('analysis-allow-local'),
    logLevel: oneOf(values, 'log-level', ['trace', 'debug', 'info', 'warn', 'error']),
    kubeconfig: values.text('kubeconfig'),
  };
}
