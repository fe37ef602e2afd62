// How requests reach the API server: its address, its connection pools, the headers that say who asks.
import type { Dispatcher } from 'undici';
import { closePools, makePools, type Pools, type TlsSettings } from './pool.ts';

/** What is needed to reach an API server; read again from time to time, since tokens and certificates change. */
export interface Credentials {
  readonly tls: TlsSettings;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ConnectionOptions {
  /** Address of the API server, `https://10.0.0.1:443`; a path in it is kept. */
  readonly server: string;
  /** Namespace of the service account or of the kubeconfig's context. */
  readonly namespace: string;
  /** Reads the credentials as they are now. `refused` says that the server no longer takes the last ones. */
  readonly read: (refused: boolean) => Promise<Credentials>;
  /** HTTP proxy on the way. */
  readonly proxy?: string | undefined;
  /** How long credentials are used before they are read again, in seconds. Default 60, as client-go's. */
  readonly rereadSeconds?: number;
}

/** One process' connection to one API server. */
export class Connection {
  readonly server: string;
  readonly namespace: string;
  readonly #options: ConnectionOptions;
  #current: { readonly credentials: Credentials; readonly pools: Pools; readonly until: number } | undefined;
  #reading: Promise<void> | undefined;
  #refused = false;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.server = options.server;
    this.namespace = options.namespace;
    this.#options = options;
  }

  /** What the next request or stream goes through. */
  async open(kind: keyof Pools): Promise<{ readonly pool: Dispatcher; readonly headers: Credentials['headers'] }> {
    if (this.#closed) {
      throw new Error('the connection to the API server is closed');
    }
    if (this.#current === undefined || this.#refused || performance.now() >= this.#current.until) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
    if (this.#current === undefined) {
      throw new Error('the connection to the API server is closed');
    }
    return { pool: this.#current.pools[kind], headers: this.#current.credentials.headers };
  }

  /** Tells that the server refused the credentials (401): they are read again before the next request. */
  refuse(): void {
    this.#refused = true;
  }

  /** Closes all connections: requests under way may end, streams are cut. */
  async close(): Promise<void> {
    this.#closed = true;
    const last = this.#current;
    this.#current = undefined;
    if (last !== undefined) {
      await closePools(last.pools);
    }
  }

  async #read(): Promise<void> {
    const credentials = await this.#options.read(this.#refused);
    if (this.#closed) {
      return;
    }
    const last = this.#current;
    const until = performance.now() + (this.#options.rereadSeconds ?? 60) * 1000;
    this.#refused = false;
    if (last !== undefined && sameTls(last.credentials.tls, credentials.tls)) {
      this.#current = { credentials, pools: last.pools, until };
      return;
    }
    // New certificates need new connections. The old pools end by themselves: their idle connections time out, and
    // cutting their streams would only make every watch start anew at once.
    this.#current = { credentials, pools: makePools(credentials.tls, this.#options.proxy), until };
  }
}

function sameTls(a: TlsSettings, b: TlsSettings): boolean {
  return (
    a.ca === b.ca &&
    a.cert === b.cert &&
    a.key === b.key &&
    a.servername === b.servername &&
    a.rejectUnauthorized === b.rejectUnauthorized
  );
}
