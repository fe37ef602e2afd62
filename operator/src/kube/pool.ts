// The connection pools to one API server: a bounded one for requests, and one for streams, which hold theirs for long.
import { Agent, type Dispatcher, ProxyAgent } from 'undici';

/** Certificates and names for TLS, PEM; what is absent is Node's default. */
export interface TlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  /** Whether the server must prove who it is. Default true. */
  readonly rejectUnauthorized?: boolean;
}

export interface Pools {
  readonly requests: Dispatcher;
  readonly streams: Dispatcher;
}

/** Requests that are under way at once; the API server gains nothing from more. */
const CONNECTIONS = 48;

/** Makes both pools, through an HTTP proxy where one is given. */
export function makePools(tls: TlsSettings, proxy?: string): Pools {
  return { requests: makePool(tls, proxy, CONNECTIONS), streams: makePool(tls, proxy, null) };
}

function makePool(tls: TlsSettings, proxy: string | undefined, connections: number | null): Dispatcher {
  const settings = {
    connections,
    pipelining: 1,
    // One silent HTTP/2 connection would take every watch with it.
    allowH2: false,
    // Below the 90 s after which the API server closes idle connections.
    keepAliveTimeout: 30_000,
  };
  const connect = { ...tls, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 };
  return proxy === undefined
    ? new Agent({ ...settings, connect })
    : new ProxyAgent({ ...settings, uri: proxy, requestTls: connect });
}

/** Closes pools that are no longer used, once what is under way has ended; streams that never end are cut after a while. */
export async function closePools(pools: Pools): Promise<void> {
  await Promise.all([pools.requests.close(), pools.streams.destroy()]);
}
