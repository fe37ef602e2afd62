// Decodes the body of a watch: one JSON event per line, in order.
import { KubeError, type KubeStatus } from './error.ts';
import { splitLines } from './lines.ts';
import type { KubeObject } from './object.ts';

/** A change, or with `BOOKMARK` only the news that everything up to `metadata.resourceVersion` has been sent. */
export interface WatchEvent<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

type RawEvent<T extends KubeObject> = WatchEvent<T> | { readonly type: 'ERROR'; readonly object: KubeStatus };

/** Decodes each event synchronously. Throws a KubeError at an ERROR event and at what is no event. */
export async function* decodeWatch<T extends KubeObject>(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  for await (const line of splitLines(chunks)) {
    if (line === '') {
      continue;
    }
    const event = parse<T>(line);
    if (event.type === 'ERROR') {
      const { code, reason, message, details } = event.object;
      throw new KubeError({
        status: code ?? 500,
        reason: reason ?? 'InternalError',
        message: `the watch ended with an error: ${message ?? 'no message'}`,
        retryAfterSeconds: details?.retryAfterSeconds,
      });
    }
    yield event;
  }
}

const TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

function parse<T extends KubeObject>(line: string): RawEvent<T> {
  try {
    const event: unknown = JSON.parse(line);
    if (isEvent<T>(event)) {
      return event;
    }
  } catch (cause) {
    // A connection that breaks in mid-line ends here, too.
    throw badAnswer('a line that is not JSON', cause);
  }
  throw badAnswer('something that is not a watch event');
}

function isEvent<T extends KubeObject>(event: unknown): event is RawEvent<T> {
  return (
    typeof event === 'object' &&
    event !== null &&
    'type' in event &&
    TYPES.has(event.type) &&
    'object' in event &&
    typeof event.object === 'object' &&
    event.object !== null
  );
}

function badAnswer(what: string, cause?: unknown): KubeError {
  return new KubeError({ status: 0, reason: 'BadAnswer', message: `the API server sent ${what} in a watch`, cause });
}
