// The cache's own metrics, in a registry that the caller owns.
import { Counter, Gauge, type Registry } from 'prom-client';

/** Counters and gauges of one cache. */
export type CacheMetrics = {
  readonly request: (method: string, kind: string, status: number) => void;
  readonly received: (bytes: number) => void;
  readonly sent: (bytes: number) => void;
  readonly failed: (cause: string) => void;
};

/** Registers the metrics. `stored` and `uploads` are asked at each scrape. */
export function cacheMetrics(registry: Registry, live: { stored: () => number; uploads: () => number }): CacheMetrics {
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
    help: 'Uploads and reads that failed, by cause: full, refused, conflict, aborted, disk.',
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
    name: 'floe_cache_uploads',
    help: 'Uploads that are running.',
    registers,
    collect() {
      this.set(live.uploads());
    },
  });
  return {
    request: (method, kind, status) => requests.inc({ method, kind, code: String(status) }),
    received: (count) => bytes.inc({ direction: 'received' }, count),
    sent: (count) => bytes.inc({ direction: 'sent' }, count),
    failed: (cause) => errors.inc({ cause }),
  };
}
