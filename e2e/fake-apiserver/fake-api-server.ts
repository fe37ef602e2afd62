// An API server for tests, in memory and in this process, over real HTTP on a loopback port of its own.
//
//   const api = await FakeApiServer.start();
//   const client = api.client();                                     // a KubeClient
//   api.seed(nixMachines, { …, status: { … } });                     // create or change, status included
//   const stored = api.get(nixMachines, 'demo/web-1');               // what a client would read
//   api.remove(nixMachines, 'demo/web-1');
//   api.faults.inject({ verb: 'PATCH', path: '/status' }, { kind: 'status', status: 503 }, 2);
//   api.watches.reset();  .silence()  .end()  .bookmark()  .fail(new ApiStatus(410, 'Expired', '…'))
//   api.compact();                                                   // watches from before: 410
//   await api.stop(); await api.listen();                            // refuses connections meanwhile
//   api.logs.append('demo/pod', 'build', '{"…"}\n');  api.logs.end('demo/pod', 'build');
//   api.acceptToken('t0ken', { username: 'system:serviceaccount:demo:build', audiences: ['floe-builds'] });
//   api.requests                                                     // what was asked: verb, path, query, body
//   await api.close();
//
// It knows any kind, without schemas: resourceVersion (one counter), generation (rises with all but metadata and status),
// uid, status subresource, merge patch with conflict, server-side apply (simplified to a merge that replaces lists),
// delete with preconditions and finalizers, owners (dependents go with them), selectors, paged lists, watches with
// history and bookmarks. Nothing runs: a test that needs a Job to succeed seeds its status.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ClientOptions, KubeClient } from '@floe/operator/kube/client';
import { Connection } from '@floe/operator/kube/connection';
import { type KubeObject, keyOf } from '@floe/operator/kube/object';
import type { Resource } from '@floe/operator/kube/resource';
import { collectionOf, parseApiPath } from './api-path.ts';
import { ApiStatus } from './api-status.ts';
import { Faults, matches, type RequestPattern } from './faults.ts';
import { ObjectBase, type ObjectBaseCopy, type StoredObject } from './object-base.ts';
import { PodLogs } from './pod-logs.ts';
import { handle } from './requests.ts';
import { Tokens, type TokenUser } from './tokens.ts';
import { Watches } from './watches.ts';

/** A request as the server saw it. */
export interface SeenRequest {
  /** HTTP's method, or `LIST`, `WATCH`, `LOGS`. */
  readonly verb: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

export class FakeApiServer {
  readonly faults: Faults = new Faults();
  readonly logs: PodLogs = new PodLogs();
  /** All requests, oldest first; a test may empty it. */
  readonly requests: SeenRequest[] = [];
  readonly watches: Watches;
  readonly #base = new ObjectBase();
  readonly #tokens = new Tokens();
  readonly #clients: KubeClient[] = [];
  /** Connections that were ever accepted. */
  connections = 0;
  #server: Server | undefined;
  #port = 0;

  constructor() {
    this.watches = new Watches(this.#base);
  }

  /** Starts a server on a free port of 127.0.0.1. */
  static async start(): Promise<FakeApiServer> {
    const api = new FakeApiServer();
    await api.listen();
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A client of this server; closed with it. */
  client(options: ClientOptions = {}): KubeClient {
    const connection = new Connection({
      server: this.url,
      namespace: 'default',
      read: () => Promise.resolve({ tls: {}, headers: {} }),
    });
    const client = new KubeClient(connection, options);
    this.#clients.push(client);
    return client;
  }

  /** Creates an object, or merges it into the one that is there; status included. */
  seed<T extends KubeObject>(resource: Resource<T>, object: T): T {
    const collection = collectionOf(resource);
    const copy = JSON.parse(JSON.stringify(object)) as StoredObject;
    const { resourceVersion: _, ...metadata } = copy.metadata;
    const given = { ...copy, metadata } as StoredObject;
    const exists = this.#base.get(collection, keyOf(object)) !== undefined;
    const stored = exists
      ? this.#base.patch(collection, keyOf(object), given, 'seed')
      : this.#base.create(collection, given, 'seed');
    return stored as KubeObject as T;
  }

  /** The stored object with this key (`namespace/name`). */
  get<T extends KubeObject>(resource: Resource<T>, key: string): T | undefined {
    return this.#base.get(collectionOf(resource), key) as KubeObject | undefined as T | undefined;
  }

  /** All stored objects of a kind, by key. */
  list<T extends KubeObject>(resource: Resource<T>): T[] {
    return this.#base.list(collectionOf(resource)) as KubeObject[] as T[];
  }

  /** Deletes an object as a client would. */
  remove(resource: Resource, key: string): void {
    this.#base.delete(collectionOf(resource), key);
  }

  /** Forgets all history: watches and continue tokens from before end with 410. */
  compact(): void {
    this.#base.compact();
  }

  /** A copy of the whole state, for `restore`. */
  copy(): ObjectBaseCopy {
    return this.#base.copy();
  }

  /** Goes back to a copy, as if etcd had been restored: versions go back, too, and watches hear nothing of it. */
  restore(copy: ObjectBaseCopy): void {
    this.#base.restore(copy);
  }

  /** Lets TokenReview accept a token. */
  acceptToken(token: string, user: TokenUser): void {
    this.#tokens.accept(token, user);
  }

  /** The requests that match a pattern. */
  seen(pattern: RequestPattern): SeenRequest[] {
    return this.requests.filter(({ verb, path }) => matches(pattern, verb, path));
  }

  /** Accepts connections, again on the same port after `stop`. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#serve(request, response);
    });
    server.on('connection', () => {
      this.connections += 1;
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Closes all connections and refuses new ones, as an API server that is away. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  }

  /** Ends everything, clients included. */
  async close(): Promise<void> {
    await this.stop();
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', this.url);
      let body = '';
      for await (const chunk of request) {
        body += String(chunk);
      }
      const path = parseApiPath(url.pathname);
      const verb = verbOf(request.method ?? 'GET', url, path);
      this.requests.push({
        verb,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        contentType: request.headers['content-type'],
        authorization: request.headers.authorization,
        body,
      });
      const fault = this.faults.take(verb, url.pathname);
      if (fault?.kind === 'silence') {
        return;
      }
      if (fault?.kind === 'reset') {
        request.socket.resetAndDestroy();
        return;
      }
      if (fault?.kind === 'status') {
        const { status, reason = 'Injected', message = 'injected by the test', retryAfterSeconds } = fault;
        throw new ApiStatus(status, reason, message, retryAfterSeconds);
      }
      if (fault?.kind === 'text') {
        response.writeHead(fault.status ?? 200, { 'content-type': 'text/plain' });
        response.end(fault.text);
        return;
      }
      const answer = handle(
        { verb, path, url, body, contentType: request.headers['content-type'], response },
        { base: this.#base, watches: this.watches, logs: this.logs, tokens: this.#tokens },
      );
      if (fault?.kind === 'lose-answer') {
        request.socket.resetAndDestroy();
      } else if (answer !== undefined) {
        response.writeHead(answer.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer.body));
      }
    } catch (error) {
      refuse(response, error);
    }
  }
}

function verbOf(method: string, url: URL, path: ReturnType<typeof parseApiPath>): string {
  if (method !== 'GET' || path === undefined) {
    return method;
  }
  if (path.subresource === 'log') {
    return 'LOGS';
  }
  return path.name !== undefined ? 'GET' : url.searchParams.get('watch') === 'true' ? 'WATCH' : 'LIST';
}

function refuse(response: ServerResponse, error: unknown): void {
  const status =
    error instanceof ApiStatus ? error : new ApiStatus(500, 'InternalError', `the fake API server failed: ${error}`);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(status.status, {
    'content-type': 'application/json',
    ...(status.retryAfterSeconds === undefined ? {} : { 'retry-after': String(status.retryAfterSeconds) }),
  });
  response.end(JSON.stringify(status.body()));
}
