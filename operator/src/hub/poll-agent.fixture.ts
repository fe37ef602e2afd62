// A scripted agent over long poll, for tests: it asks when it is told to, and what it is told to.
import { type Agent, request as httpsRequest } from 'node:https';
import type { Hello, HubMessage } from '@floe/crds/protocol';
import { helloFor, type MachineKey } from './agent.fixture.ts';

/** What a request was answered with. */
export type Answered = {
  readonly status: number;
  readonly body: {
    channel?: string;
    ack?: number;
    first?: number;
    messages?: HubMessage[];
    closed?: { code: number; reason: string };
    error?: string;
  };
};

/** One request as it is; `body` is sent as it stands where it is text or bytes. */
export function post(
  port: number,
  given: {
    body?: unknown;
    channel?: string | undefined;
    headers?: Record<string, string>;
    agent?: Agent;
    method?: string;
  } = {},
): Promise<Answered> {
  const { body, channel, headers = {}, agent, method = 'POST' } = given;
  const text =
    body === undefined ? '' : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      `https://localhost:${port}/agent/poll`,
      {
        method,
        rejectUnauthorized: false,
        ...(agent === undefined ? {} : { agent }),
        headers: { ...(channel === undefined ? {} : { authorization: `Bearer ${channel}` }), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          try {
            const answered = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Answered['body'];
            resolve({ status: response.statusCode ?? 0, body: answered });
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

export class PollAgent {
  readonly port: number;
  readonly host: string;
  channel: string | undefined;
  heard: HubMessage[] = [];
  closed: { code: number; reason: string } | undefined;
  /** Messages of the hub that were taken, and of the agent that were sent. */
  got = 0;
  sent = 0;

  constructor(port: number) {
    this.port = port;
    this.host = `localhost:${port}`;
  }

  async open(): Promise<this> {
    this.#take(await post(this.port));
    return this;
  }

  /** One request with messages that were not sent before. */
  async ask(messages: unknown[] = [], { wait = 0 } = {}): Promise<Answered> {
    const first = this.sent + 1;
    this.sent += messages.length;
    const answered = await post(this.port, {
      channel: this.channel,
      body: { ack: this.got, first, messages, wait },
    });
    this.#take(answered);
    return answered;
  }

  /** Asks until there is a message of the type, and takes it. */
  async take<T extends HubMessage['type']>(type: T): Promise<Extract<HubMessage, { type: T }>> {
    for (;;) {
      const index = this.heard.findIndex((message) => message.type === type);
      if (index >= 0) return this.heard.splice(index, 1)[0] as Extract<HubMessage, { type: T }>;
      if (this.closed !== undefined) throw new Error(`closed (${this.closed.code} ${this.closed.reason})`);
      const { status } = await this.ask([], { wait: 5 });
      if (status !== 200) throw new Error(`answered with ${status}`);
    }
  }

  async hello(
    key: MachineKey,
    given: { namespace?: string; machine?: string; purpose?: Hello['purpose'] } = {},
  ): Promise<this> {
    if (this.channel === undefined) await this.open();
    const { nonce } = await this.take('challenge');
    await this.ask([helloFor(key, { nonce, host: this.host, ...given })]);
    await this.take('welcome');
    return this;
  }

  #take({ body }: Answered): void {
    this.channel ??= body.channel;
    this.closed ??= body.closed;
    const { first = 1, messages = [] } = body;
    for (const message of messages.slice(Math.max(0, this.got + 1 - first))) {
      this.got += 1;
      this.heard.push(message);
    }
  }
}
