// Sends single requests over the connection: time limits, typed errors, metrics; knows HTTP, not Kubernetes' kinds.
import type { Dispatcher } from 'undici';
import type { Connection } from './connection.ts';
import { type Deadline, startDeadline, withDeadline } from './deadline.ts';
import { errorOfAnswer, errorOfFailure } from './failure.ts';
import type { KubeMetrics } from './metrics.ts';
import type { Pools } from './pool.ts';

interface Call {
  /** What the metrics call it; default the method. */
  readonly verb?: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

export interface Request extends Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface StreamRequest extends Call {
  /** How long the stream may be silent once it has begun, in seconds; default the transport's time limit. */
  readonly idleSeconds?: number;
  /** Called once the server has begun to answer. */
  readonly onOpen?: (() => void) | undefined;
}

/** Longest error body that is read, in bytes. */
const LONGEST_ERROR = 64 * 1024;

export class Transport {
  readonly #connection: Connection;
  readonly #metrics: KubeMetrics | undefined;
  readonly #timeoutSeconds: number;

  constructor(connection: Connection, options: { readonly metrics?: KubeMetrics; readonly timeoutSeconds?: number }) {
    this.#connection = connection;
    this.#metrics = options.metrics;
    this.#timeoutSeconds = options.timeoutSeconds ?? 30;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** Sends a request and reads its JSON answer, both within the time limit. */
  async request<T>(request: Request): Promise<T> {
    const verb = request.verb ?? request.method;
    const start = performance.now();
    try {
      return await withDeadline(request.signal, this.#timeoutSeconds, async (deadline) => {
        try {
          const answer = await this.#send(request, 'requests', deadline);
          const json: unknown = JSON.parse(await answer.body.text());
          if (typeof json !== 'object' || json === null) {
            throw new SyntaxError(`the answer is no object but ${typeof json}`);
          }
          return json as T;
        } catch (cause) {
          throw errorOfFailure(cause, { verb, path: request.path, deadline, parent: request.signal });
        }
      });
    } finally {
      this.#metrics?.requestSeconds.observe({ verb }, (performance.now() - start) / 1000);
    }
  }

  /**
   * The chunks of an answer that goes on for long; the request is given up when the caller stops reading. Throws a
   * KubeError: `Timeout` where no answer begins in time, `Idle` where one that had begun is silent for `idleSeconds`.
   */
  async *stream(request: StreamRequest): AsyncGenerator<Uint8Array, void, undefined> {
    const idleSeconds = request.idleSeconds ?? this.#timeoutSeconds;
    const deadline = startDeadline(request.signal, Math.min(idleSeconds, this.#timeoutSeconds));
    let streaming = false;
    try {
      const answer = await this.#send({ ...request, method: 'GET' }, 'streams', deadline);
      streaming = true;
      request.onOpen?.();
      deadline.restart(idleSeconds);
      for await (const chunk of answer.body) {
        deadline.restart(idleSeconds);
        yield chunk as Uint8Array;
      }
    } catch (cause) {
      throw errorOfFailure(cause, {
        verb: request.verb ?? 'GET',
        path: request.path,
        deadline,
        parent: request.signal,
        streaming,
      });
    } finally {
      deadline[Symbol.dispose]();
    }
  }

  async #send(request: Request, kind: keyof Pools, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    deadline.signal.throwIfAborted();
    const { pool, headers } = await this.#connection.open(kind);
    const url = new URL(this.#connection.server);
    url.pathname = url.pathname.replace(/\/$/, '') + request.path;
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) {
        url.searchParams.set(name, value);
      }
    }
    let code = '<error>';
    try {
      const answer = await pool.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: {
          accept: 'application/json',
          'user-agent': 'floe',
          ...headers,
          ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: deadline.signal,
        // The deadline bounds both.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      code = String(answer.statusCode);
      if (answer.statusCode >= 200 && answer.statusCode < 300) {
        return answer;
      }
      if (answer.statusCode === 401) {
        this.#connection.refuse();
      }
      throw errorOfAnswer({
        verb: request.verb ?? request.method,
        path: request.path,
        status: answer.statusCode,
        retryAfter: answer.headers['retry-after'],
        body: await readStart(answer.body),
      });
    } finally {
      this.#metrics?.requests.inc({ code, method: request.method });
    }
  }
}

async function readStart(body: Dispatcher.ResponseData['body']): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > LONGEST_ERROR) {
      break;
    }
  }
  return text;
}
