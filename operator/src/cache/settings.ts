// The settings of `floe cache`: flags or FLOE_CACHE_* variables, checked once at the start.
import { type Flag, type FlagValues, SettingError } from '../flags.ts';

export type CacheSettings = {
  /** Folder that holds the cache, on a volume. */
  readonly directory: string;
  /** Address to listen on; undefined: all. */
  readonly host: string | undefined;
  /** Port of the cache; 0 takes any free one. */
  readonly port: number;
  /** Port of /metrics, /healthz and /readyz; 0 takes any free one. */
  readonly httpPort: number;
  /** Certificate and key files, PEM; undefined: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** File with a token that may upload to every namespace. */
  readonly uploadTokenFile: string | undefined;
  /** Whether tokens of service accounts are checked with the API server. */
  readonly tokenReview: boolean;
  /** Bytes that the cache may hold; 0: as the disk allows. */
  readonly maxBytes: number;
  /** Bytes that stay free on the disk. */
  readonly minFreeBytes: number;
  /** Uploads that run at once. */
  readonly uploads: number;
  /** Seconds that running requests have to end at a shutdown. */
  readonly drainSeconds: number;
};

export const cacheFlags: readonly Flag[] = [
  {
    name: 'directory',
    env: 'FLOE_CACHE_DIRECTORY',
    type: 'string',
    required: true,
    description: 'Folder that holds the cache.',
  },
  {
    name: 'host',
    env: 'FLOE_CACHE_HOST',
    type: 'string',
    description: 'Address to listen on; empty: all, of IPv6 too where there is any.',
  },
  { name: 'port', env: 'FLOE_CACHE_PORT', type: 'integer', default: '8080', description: 'Port of the cache.' },
  {
    name: 'http-port',
    env: 'FLOE_CACHE_HTTP_PORT',
    type: 'integer',
    default: '9090',
    description: 'Port of /metrics, /healthz and /readyz (plain HTTP).',
  },
  {
    name: 'tls-cert',
    env: 'FLOE_CACHE_TLS_CERT',
    type: 'string',
    description: 'File with the certificate chain, PEM; empty: plain HTTP. What is served is signed.',
  },
  { name: 'tls-key', env: 'FLOE_CACHE_TLS_KEY', type: 'string', description: 'File with its private key, PEM.' },
  {
    name: 'upload-token-file',
    env: 'FLOE_CACHE_UPLOAD_TOKEN_FILE',
    type: 'string',
    description: 'File with a token that may upload to every namespace; read at each use.',
  },
  {
    name: 'token-review',
    env: 'FLOE_CACHE_TOKEN_REVIEW',
    type: 'boolean',
    default: 'true',
    description: 'Let build Jobs upload to their own namespace with tokens that the API server checks.',
  },
  {
    name: 'kubeconfig',
    env: 'KUBECONFIG',
    type: 'string',
    description: 'Kubeconfig for token reviews; empty: the service account of the pod.',
  },
  {
    name: 'max-size',
    env: 'FLOE_CACHE_MAX_SIZE',
    type: 'string',
    default: '0',
    description: 'What the cache may hold, 50Gi for instance; 0: as the disk allows.',
  },
  {
    name: 'min-free',
    env: 'FLOE_CACHE_MIN_FREE',
    type: 'string',
    default: '256Mi',
    description: 'What stays free on the disk.',
  },
  {
    name: 'uploads',
    env: 'FLOE_CACHE_UPLOADS',
    type: 'integer',
    default: '32',
    description: 'Uploads that run at once; the others wait. One namespace takes half of them at most.',
  },
  {
    name: 'drain-seconds',
    env: 'FLOE_CACHE_DRAIN_SECONDS',
    type: 'integer',
    default: '25',
    description: 'Seconds that running requests have to end at a shutdown.',
  },
  {
    name: 'log-level',
    env: 'FLOE_LOG_LEVEL',
    type: 'string',
    default: 'info',
    description: 'What is logged: trace, debug, info, warn or error.',
  },
];

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Bytes of a quantity as Kubernetes writes it, `50Gi`; undefined when it is none. */
export function quantityBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?$/.exec(text.trim());
  const unit = match === null ? undefined : UNITS[match[2] ?? ''];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

function bytes(values: FlagValues, name: string): number {
  const size = quantityBytes(values.need(name));
  if (size === undefined)
    throw new SettingError(`--${name}`, `"${values.need(name)}" is no size`, 'write 50Gi for instance');
  return size;
}

/** @throws SettingError that names the flag and what to do */
export function cacheSettings(values: FlagValues): CacheSettings {
  const certFile = values.text('tls-cert');
  const keyFile = values.text('tls-key');
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new SettingError(
      certFile === undefined ? '--tls-cert' : '--tls-key',
      'is not set',
      'give both --tls-cert and --tls-key, or neither',
    );
  }
  const uploads = values.integer('uploads');
  if (uploads < 1) throw new SettingError('--uploads', 'nothing could ever be uploaded', 'give 1 or more');
  return {
    directory: values.need('directory'),
    host: values.text('host'),
    port: values.integer('port'),
    httpPort: values.integer('http-port'),
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    uploadTokenFile: values.text('upload-token-file'),
    tokenReview: values.boolean('token-review'),
    maxBytes: bytes(values, 'max-size'),
    minFreeBytes: bytes(values, 'min-free'),
    uploads,
    drainSeconds: values.integer('drain-seconds'),
  };
}
