// What each verb does to the state of the fake API server.
import type { ServerResponse } from 'node:http';
import { keyOf } from '@floe/operator/kube/object';
import { type ApiPath, collectionOf } from './api-path.ts';
import { ApiStatus, badRequest, expired, notFound } from './api-status.ts';
import { type ObjectBase, parseObject, type StoredObject } from './object-base.ts';
import type { PodLogs } from './pod-logs.ts';
import { parseSelectors } from './selectors.ts';
import type { Tokens } from './tokens.ts';
import type { Watches } from './watches.ts';

export interface ApiRequest {
  readonly verb: string;
  readonly path: ApiPath | undefined;
  readonly url: URL;
  readonly body: string;
  readonly contentType: string | undefined;
  readonly response: ServerResponse;
}

export interface ApiState {
  readonly base: ObjectBase;
  readonly watches: Watches;
  readonly logs: PodLogs;
  readonly tokens: Tokens;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Handles a request; undefined when the answer goes on by itself (watches and logs). Throws an ApiStatus. */
export function handle(request: ApiRequest, state: ApiState): Answer | undefined {
  const { path, verb } = request;
  if (path === undefined) {
    if (request.url.pathname === '/version') {
      return { status: 200, body: { major: '1', minor: '0', gitVersion: 'v1.0.0-fake' } };
    }
    if (['/healthz', '/readyz', '/livez'].includes(request.url.pathname)) {
      return { status: 200, body: 'ok' };
    }
    throw notFound(request.url.pathname);
  }
  switch (verb) {
    case 'LIST':
      return list(request, path, state);
    case 'WATCH':
      watch(request, path, state);
      return undefined;
    case 'LOGS':
      logs(request, path, state);
      return undefined;
    case 'GET':
      return ok(existing(path, state));
    case 'POST':
      return create(request, path, state);
    case 'PATCH':
      return patch(request, path, state);
    case 'DELETE':
      return remove(request, path, state);
    default:
      throw new ApiStatus(405, 'MethodNotAllowed', `${verb} is not supported`);
  }
}

function list({ url }: ApiRequest, path: ApiPath, { base }: ApiState): Answer {
  const limit = Number(url.searchParams.get('limit') ?? 0);
  const token = readToken(url.searchParams.get('continue'));
  if (token !== undefined) {
    base.since(collectionOf(path), token.version);
  }
  const version = token?.version ?? base.version;
  const matches = parseSelectors(url.searchParams.get('labelSelector'), url.searchParams.get('fieldSelector'));
  // A real list is a snapshot; here what was written meanwhile shows, which a reader must cope with as well.
  const items = base
    .list(collectionOf(path))
    .filter((item) => path.namespace === undefined || item.metadata.namespace === path.namespace)
    .filter((item) => matches(item) && (token === undefined || keyOf(item) > token.after));
  const page = limit > 0 ? items.slice(0, limit) : items;
  const last = page.at(-1);
  const more = last !== undefined && page.length < items.length;
  return ok({
    apiVersion: path.apiVersion,
    kind: `${last?.kind ?? ''}List`,
    metadata: {
      resourceVersion: String(version),
      ...(more ? { continue: JSON.stringify({ version, after: keyOf(last) }) } : {}),
    },
    items: page.map(({ apiVersion: _, kind: __, ...item }) => item),
  });
}

function readToken(token: string | null): { version: number; after: string } | undefined {
  return token === null ? undefined : (JSON.parse(token) as { version: number; after: string });
}

function watch({ url, response }: ApiRequest, path: ApiPath, { watches, base }: ApiState): void {
  const version = url.searchParams.get('resourceVersion') ?? '';
  if (!/^\d+$/.test(version)) {
    throw badRequest(`invalid resource version "${version}"`);
  }
  const matches = parseSelectors(url.searchParams.get('labelSelector'), url.searchParams.get('fieldSelector'));
  if (Number(version) === 0 && base.version > 0) {
    throw expired();
  }
  watches.open(
    {
      collection: collectionOf(path),
      matches: (object) =>
        (path.namespace === undefined || object.metadata.namespace === path.namespace) && matches(object),
      version: Number(version),
      bookmarks: url.searchParams.get('allowWatchBookmarks') === 'true',
      timeoutSeconds: Number(url.searchParams.get('timeoutSeconds') ?? 1800),
    },
    response,
  );
}

function logs({ url, response }: ApiRequest, path: ApiPath, state: ApiState): void {
  existing(path, state);
  const container = url.searchParams.get('container') ?? '';
  state.logs.serve(keyIn(path), container, url.searchParams.get('follow') === 'true', response);
}

function create({ body }: ApiRequest, path: ApiPath, { base, tokens }: ApiState): Answer {
  const object = parseObject(body);
  if (path.plural === 'tokenreviews') {
    return { status: 201, body: { ...object, status: tokens.review(object['spec'] as { token?: string }) } };
  }
  const metadata = path.namespace === undefined ? object.metadata : { ...object.metadata, namespace: path.namespace };
  return { status: 201, body: base.create(collectionOf(path), { ...object, metadata } as StoredObject, 'spec') };
}

function patch({ body, contentType, url }: ApiRequest, path: ApiPath, { base }: ApiState): Answer {
  const write = path.subresource === 'status' ? 'status' : 'spec';
  const object = parseObject(body);
  if (contentType === 'application/apply-patch+yaml') {
    if (!url.searchParams.get('fieldManager')) {
      throw badRequest('fieldManager is required for apply patch');
    }
    if (base.get(collectionOf(path), keyIn(path)) === undefined) {
      const metadata = { ...object.metadata, ...(path.namespace === undefined ? {} : { namespace: path.namespace }) };
      return { status: 201, body: base.create(collectionOf(path), { ...object, metadata } as StoredObject, write) };
    }
  } else if (contentType !== 'application/merge-patch+json') {
    throw new ApiStatus(415, 'UnsupportedMediaType', `the fake API server knows no patches of type ${contentType}`);
  }
  return ok(base.patch(collectionOf(path), keyIn(path), object, write));
}

function remove({ body }: ApiRequest, path: ApiPath, { base }: ApiState): Answer {
  const options =
    body === '' ? {} : (JSON.parse(body) as { preconditions?: { uid?: string; resourceVersion?: string } });
  return ok(base.delete(collectionOf(path), keyIn(path), options.preconditions));
}

function existing(path: ApiPath, { base }: ApiState): StoredObject {
  const object = base.get(collectionOf(path), keyIn(path));
  if (object === undefined) {
    throw notFound(`${path.plural} "${keyIn(path)}"`);
  }
  return object;
}

function keyIn(path: ApiPath): string {
  if (path.name === undefined) {
    throw new ApiStatus(405, 'MethodNotAllowed', 'the path names no object');
  }
  return keyOf({ namespace: path.namespace, name: path.name });
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}
