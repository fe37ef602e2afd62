// The cache's own metrics, in a registry that the caller owns.
import { Counter, Gauge, type Registry } from 'prom-client';

/** Counters and gauges of one cache. */
export type CacheMetrics = {
  readonly request: (method: string, kind: string, status: number) => void;
  readonly received: (bytes: number) => void;
  readonly sent: (bytes: number) => void;
  readonly failed: (cause: FailureCause) => void;
};

const CAUSES = ['full', 'refused', 'conflict', 'aborted', 'disk'] as const;

/** Why an upload or a read failed. */
export type FailureCause = (typeof CAUSES)[number];

/** What is asked at each scrape. */
export type LiveCache = {
  /** Bytes that lie in the cache. */
  readonly stored: () => number;
  /** Bytes that it may hold; 0: no limit. */
  readonly limit: () => number;
  /** Bytes that uploads may still bring. */
  readonly free: () => Promise<number>;
  /** Uploads that are running. */
  readonly uploads: () => number;
};

/** Registers the metrics. Each counter is there before anything is counted, so that an alert sees the first of its kind. */
export function cacheMetrics(registry: Registry, live: LiveCache): CacheMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'floe_cache_requests_total',
    help: 'Requests by method, kind of file and status.',
    labelNames: ['method', 'kind', 'code'] as const,
    registers,
  });
  const bytes = new Counter({
    name: 'floe_cache_bytes_total',
    help: 'Bytes of files received from builds and sent to machines.',
    labelNames: ['direction'] as const,
    registers,
  });
  const errors = new Counter({
    name: 'floe_cache_errors_total',
    help: `Uploads and reads that failed, by cause: ${CAUSES.join(', ')}.`,
    labelNames: ['cause'] as const,
    registers,
  });
  new Gauge({
    name: 'floe_cache_stored_bytes',
    help: 'Bytes that lie in the cache.',
    registers,
    collect() {
      this.set(live.stored());
    },
  });
  new Gauge({
    name: 'floe_cache_limit_bytes',
    help: 'Bytes that the cache may hold; 0: as much as its volume holds.',
    registers,
    collect() {
      this.set(live.limit());
    },
  });
  new Gauge({
    name: 'floe_cache_free_bytes',
    help: 'Bytes that uploads may still bring, by the limit and by the room on the volume.',
    registers,
    async collect() {
      // A volume that can't be asked takes nothing, and must not keep the other figures from being read.
      this.set(await live.free().catch(() => 0));
    },
  });
  new Gauge({
    name: 'floe_cache_uploads',
    help: 'Uploads that are running.',
    registers,
    collect() {
      this.set(live.uploads());
    },
  });
  for (const cause of CAUSES) errors.inc({ cause }, 0);
  for (const direction of ['received', 'sent']) bytes.inc({ direction }, 0);
  return {
    request: (method, kind, status) => requests.inc({ method, kind, code: String(status) }),
    received: (count) => bytes.inc({ direction: 'received' }, count),
    sent: (count) => bytes.inc({ direction: 'sent' }, count),
    failed: (cause) => errors.inc({ cause }),
  };
}
