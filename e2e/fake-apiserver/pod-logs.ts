// Logs of containers: text that a test gives, which followers read as it comes.
import type { ServerResponse } from 'node:http';

interface Log {
  text: string;
  ended: boolean;
  readonly followers: Set<ServerResponse>;
}

export class PodLogs {
  readonly #logs = new Map<string, Log>();

  /** Adds text to the log of a container. */
  append(pod: string, container: string, text: string): void {
    const log = this.#log(pod, container);
    log.text += text;
    for (const follower of log.followers) {
      follower.write(text);
    }
  }

  /** Ends the log of a container, as when it exits. */
  end(pod: string, container: string): void {
    const log = this.#log(pod, container);
    log.ended = true;
    for (const follower of log.followers) {
      follower.end();
    }
    log.followers.clear();
  }

  /** Answers a request for a log. */
  serve(pod: string, container: string, follow: boolean, response: ServerResponse): void {
    const log = this.#log(pod, container);
    response.writeHead(200, { 'content-type': 'text/plain' });
    if (!follow || log.ended) {
      response.end(log.text);
      return;
    }
    response.flushHeaders();
    response.write(log.text);
    log.followers.add(response);
    response.on('close', () => log.followers.delete(response));
  }

  #log(pod: string, container: string): Log {
    const key = `${pod}/${container}`;
    const log = this.#logs.get(key) ?? { text: '', ended: false, followers: new Set() };
    this.#logs.set(key, log);
    return log;
  }
}
