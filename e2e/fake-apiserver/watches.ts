// The open watches of the fake API server, and what a test can do to them.
import type { ServerResponse } from 'node:http';
import type { ApiStatus } from './api-status.ts';
import type { Change, ObjectBase, StoredObject } from './object-base.ts';
import type { Matcher } from './selectors.ts';

interface OpenWatch {
  readonly collection: string;
  readonly response: ServerResponse;
  readonly matches: Matcher;
  readonly bookmarks: boolean;
  silent: boolean;
}

export interface WatchRequest {
  readonly collection: string;
  readonly matches: Matcher;
  readonly version: number;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

export class Watches {
  readonly #base: ObjectBase;
  readonly #open = new Set<OpenWatch>();

  constructor(base: ObjectBase) {
    this.#base = base;
    base.subscribe((change) => {
      for (const watch of this.#open) {
        send(watch, change);
      }
    });
  }

  /** Opens a watch on a response, or throws 410. */
  open(request: WatchRequest, response: ServerResponse): void {
    const changes = this.#base.since(request.collection, request.version);
    const watch: OpenWatch = { ...request, response, silent: false };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    this.#open.add(watch);
    const timer = setTimeout(() => response.end(), request.timeoutSeconds * 1000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#open.delete(watch);
    });
    for (const change of changes) {
      send(watch, change);
    }
  }

  /** How many watches are open, of all kinds or of the collection (`floe.dev/v1alpha1/rollouts`). */
  count(collection?: string): number {
    return this.#of(collection).length;
  }

  /** Resets the connections. */
  reset(collection?: string): void {
    for (const watch of this.#of(collection)) {
      watch.response.socket?.resetAndDestroy();
    }
  }

  /** Ends the watches in good order. */
  end(collection?: string): void {
    for (const watch of this.#of(collection)) {
      watch.response.end();
    }
  }

  /** From now on sends nothing over these connections, and leaves them open. */
  silence(collection?: string): void {
    for (const watch of this.#of(collection)) {
      watch.silent = true;
    }
  }

  /** Sends an ERROR event and ends the watches. */
  fail(status: ApiStatus, collection?: string): void {
    for (const watch of this.#of(collection)) {
      watch.response.end(`${JSON.stringify({ type: 'ERROR', object: status.body() })}\n`);
    }
  }

  /** Sends any text, as it is. */
  send(text: string, collection?: string): void {
    for (const watch of this.#of(collection)) {
      if (!watch.response.writableEnded) {
        watch.response.write(text);
      }
    }
  }

  /** Sends a bookmark with the present version to all who asked for them. */
  bookmark(collection?: string): void {
    for (const watch of this.#of(collection)) {
      if (watch.bookmarks) {
        write(watch, 'BOOKMARK', {
          apiVersion: 'v1',
          kind: 'Bookmark',
          metadata: { name: '', resourceVersion: String(this.#base.version) },
        });
      }
    }
  }

  #of(collection: string | undefined): OpenWatch[] {
    return [...this.#open].filter((watch) => collection === undefined || watch.collection === collection);
  }
}

function send(watch: OpenWatch, change: Change): void {
  if (change.collection !== watch.collection) {
    return;
  }
  const before = change.old !== undefined && watch.matches(change.old);
  const after = change.type !== 'DELETED' && watch.matches(change.object);
  if (before && after) {
    write(watch, 'MODIFIED', change.object);
  } else if (after) {
    write(watch, 'ADDED', change.object);
  } else if (before) {
    write(watch, 'DELETED', change.object);
  }
}

function write(watch: OpenWatch, type: string, object: StoredObject): void {
  if (!watch.silent && !watch.response.writableEnded) {
    watch.response.write(`${JSON.stringify({ type, object })}\n`);
  }
}
