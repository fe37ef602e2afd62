// The client of the Kubernetes API: one method per verb, JSON in and out, typed errors, a limit on every wait.
import type { Connection } from './connection.ts';
import { loadInCluster } from './in-cluster.ts';
import { loadKubeConfig } from './kube-config.ts';
import { splitLines } from './lines.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject, ObjectKey } from './object.ts';
import { collectionPath, objectPath, pods, type Resource } from './resource.ts';
import { Transport } from './transport.ts';
import { decodeWatch, type WatchEvent } from './watch-stream.ts';

/** What every call takes: it ends when the signal is aborted. */
export interface CallOptions {
  readonly signal: AbortSignal;
}

export interface ListOptions extends CallOptions {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** A page of a list. */
export interface Page<T extends KubeObject> {
  readonly items: T[];
  /** Version of the whole list, the same on each of its pages: where a watch goes on. */
  readonly resourceVersion: string;
}

/** A merge patch: what is absent stays, null removes, arrays are replaced. */
export type MergePatch<T> = { readonly [K in keyof T]?: MergePatch<T[K]> | null };

/** Settings of a client. */
export interface ClientOptions {
  readonly metrics?: KubeMetrics;
  /** Time limit of each request but watches and followed logs, in seconds. Default 30. */
  readonly timeoutSeconds?: number;
}

/**
 * Talks to one API server over one pool of connections. It never tries again by itself: queues and reflectors do.
 * All methods throw a KubeError when they fail.
 */
export class KubeClient {
  readonly #transport: Transport;
  /** Namespace of the service account or of the kubeconfig's context. */
  readonly namespace: string;

  constructor(connection: Connection, options: ClientOptions = {}) {
    this.#transport = new Transport(connection, options);
    this.namespace = connection.namespace;
  }

  /** A client for a pod, from the files of its service account. */
  static async inCluster(options: ClientOptions = {}): Promise<KubeClient> {
    return new KubeClient(await loadInCluster(), options);
  }

  /** A client from a kubeconfig file; default: $KUBECONFIG, then ~/.kube/config, and the current context. */
  static async fromKubeConfig(
    options: ClientOptions & { readonly file?: string | undefined; readonly context?: string | undefined } = {},
  ): Promise<KubeClient> {
    return new KubeClient(await loadKubeConfig(options), options);
  }

  /** Closes all connections; call it last. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  /** Reads one object. */
  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, options: CallOptions): Promise<T> {
    return await this.#transport.request<T>({ method: 'GET', path: objectPath(resource, key), signal: options.signal });
  }

  /** Lists page by page (default 500 objects), from the newest state. A KubeError of status 410 says: start again. */
  async *listPages<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions & { readonly limit?: number },
  ): AsyncGenerator<Page<T>, void, undefined> {
    let token: string | undefined;
    do {
      const list = await this.#transport.request<{
        items?: T[] | null;
        metadata?: { resourceVersion?: string; continue?: string };
      }>({
        method: 'GET',
        verb: 'LIST',
        path: collectionPath(resource, options.namespace),
        query: { ...selectors(options), limit: String(options.limit ?? 500), continue: token },
        signal: options.signal,
      });
      const items = list.items ?? [];
      for (const item of items) {
        // The items of a list do not say what they are.
        item.apiVersion ??= resource.apiVersion;
        item.kind ??= resource.kind;
      }
      yield { items, resourceVersion: list.metadata?.resourceVersion ?? '' };
      token = list.metadata?.continue || undefined;
    } while (token !== undefined);
  }

  /** Lists all objects at once; for collections that are known to be small. */
  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions): Promise<T[]> {
    const items: T[] = [];
    for await (const page of this.listPages(resource, options)) {
      items.push(...page.items);
    }
    return items;
  }

  /** Creates an object; a KubeError 409 (`isAlreadyExists`) when there is one of that name. */
  async create<T extends KubeObject>(resource: Resource<T>, object: T, options: CallOptions): Promise<T> {
    return await this.#transport.request<T>({
      method: 'POST',
      path: collectionPath(resource, object.metadata.namespace),
      body: object,
      contentType: 'application/json',
      signal: options.signal,
    });
  }

  /** Deletes an object; with `uid` or `resourceVersion` only if it is still that one (else a KubeError 409). */
  async delete<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options: CallOptions & {
      readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
      readonly uid?: string | undefined;
      readonly resourceVersion?: string | undefined;
      readonly gracePeriodSeconds?: number;
    },
  ): Promise<void> {
    const { signal, propagationPolicy, uid, resourceVersion, gracePeriodSeconds } = options;
    await this.#transport.request({
      method: 'DELETE',
      path: objectPath(resource, key),
      contentType: 'application/json',
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: propagationPolicy ?? 'Background',
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
        ...(uid === undefined && resourceVersion === undefined
          ? {}
          : { preconditions: { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) } }),
      },
      signal,
    });
  }

  /** Server-side apply: creates the object or changes the fields that it names; `force` takes them from other managers. */
  async apply<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions & { readonly fieldManager: string; readonly force?: boolean; readonly subresource?: 'status' },
  ): Promise<T> {
    return await this.#transport.request<T>({
      method: 'PATCH',
      verb: 'APPLY',
      path: objectPath(resource, object.metadata, options.subresource),
      query: { fieldManager: options.fieldManager, force: String(options.force ?? true) },
      body: object,
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    });
  }

  /**
   * JSON merge patch. With `metadata.resourceVersion` in the patch it fails with a KubeError 409 (`isConflict`) when
   * somebody else changed the object meanwhile.
   */
  async mergePatch<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: MergePatch<T>,
    options: CallOptions & { readonly subresource?: 'status'; readonly fieldManager?: string },
  ): Promise<T> {
    return await this.#transport.request<T>({
      method: 'PATCH',
      path: objectPath(resource, key, options.subresource),
      query: { fieldManager: options.fieldManager },
      body: patch,
      contentType: 'application/merge-patch+json',
      signal: options.signal,
    });
  }

  /** The lines of a container's log; with `follow` until the container or the caller ends it. */
  async *logs(
    pod: ObjectKey,
    options: CallOptions & {
      readonly container: string;
      readonly follow?: boolean;
      readonly tailLines?: number;
      readonly limitBytes?: number;
      /** Gives up when no byte came for so long, in seconds; default 3600 when following, else the client's limit. */
      readonly idleSeconds?: number;
    },
  ): AsyncGenerator<string, void, undefined> {
    const { container, follow = false, tailLines, limitBytes, idleSeconds } = options;
    const chunks = this.#transport.stream({
      verb: 'LOGS',
      path: objectPath(pods, pod, 'log'),
      query: {
        container,
        follow: String(follow),
        tailLines: tailLines?.toString(),
        limitBytes: limitBytes?.toString(),
      },
      signal: options.signal,
      ...(follow || idleSeconds !== undefined ? { idleSeconds: idleSeconds ?? 3600 } : {}),
    });
    yield* splitLines(chunks);
  }

  /**
   * The changes of a kind since `resourceVersion`, in order. Ends when the server ends it (`timeoutSeconds`); throws a
   * KubeError when it fails, is silent for `idleSeconds` (`isIdle`), or the server sends an ERROR event.
   */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions & {
      readonly resourceVersion: string;
      /** When the server shall end the watch, in seconds. Default 300. */
      readonly timeoutSeconds?: number;
      /** How long the connection may be silent, in seconds. Default 120. */
      readonly idleSeconds?: number;
      /** Called once the server has begun to answer. */
      readonly onOpen?: () => void;
    },
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const chunks = this.#transport.stream({
      verb: 'WATCH',
      path: collectionPath(resource, options.namespace),
      query: {
        ...selectors(options),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(Math.ceil(options.timeoutSeconds ?? 300)),
      },
      signal: options.signal,
      idleSeconds: options.idleSeconds ?? 120,
      onOpen: options.onOpen,
    });
    return decodeWatch<T>(chunks);
  }
}

function selectors(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
}
