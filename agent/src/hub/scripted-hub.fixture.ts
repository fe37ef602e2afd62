// A hub for tests: real TLS and WebSocket, and it says what the test tells it to.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Attempt } from '@floe/crds/nix-machine';
import type { AgentMessage, DesiredMessage, HubMessage, MachineState } from '@floe/crds/protocol';
import { generate } from 'selfsigned';
import { type WebSocket, WebSocketServer } from 'ws';

export type Peer = {
  readonly socket: WebSocket;
  readonly hello: Extract<AgentMessage, { type: 'hello' }>;
  readonly nonce: string;
  say(message: HubMessage): void;
};

export class ScriptedHub {
  readonly reports: MachineState[] = [];
  readonly confirms: { attempt: string; closure: string }[] = [];
  readonly hellos: Peer[] = [];
  readonly closeCodes: number[] = [];
  desired: DesiredMessage | undefined;
  acks = true;
  answer: (attempt: string) => HubMessage | undefined = (attempt) => ({ type: 'confirmed', attempt });
  /** Takes the place of the welcome. */
  greet: ((peer: Peer) => void) | undefined;
  readonly tls: SecureContext;
  readonly ca: string;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server, ca: string) {
    this.#server = server;
    this.ca = ca;
    this.tls = createSecureContext({ ca: [ca] });
    this.#sockets = new WebSocketServer({ server, path: '/agent' });
    this.#sockets.on('connection', (socket) => this.#accept(socket));
  }

  static async start({ host = '127.0.0.1', port = 0 } = {}): Promise<ScriptedHub> {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
      keySize: 2048,
      extensions: [
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: host },
          ],
        },
      ],
    });
    const server = createServer({ key: pems.private, cert: pems.cert });
    server.listen(port, host);
    await once(server, 'listening');
    return new ScriptedHub(server, pems.cert);
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `https://${address}:${port}`;
  }

  get session(): Peer | undefined {
    return this.hellos.findLast(
      ({ hello, socket }) => hello.purpose === 'session' && socket.readyState === socket.OPEN,
    );
  }

  /** The attempt as it was reported last. */
  get attempt(): Attempt | undefined {
    return this.reports.at(-1)?.attempt;
  }

  /** Phases of an attempt in the order in which they were reported. */
  phases(id: string): string[] {
    const all = this.reports.flatMap(({ attempt }) => (attempt?.desiredId === id ? [attempt.phase] : []));
    return all.filter((phase, index) => phase !== all[index - 1]);
  }

  tell(message: DesiredMessage): void {
    this.desired = message;
    this.session?.say(message);
  }

  /** Waits until something holds; checked whenever anything comes in. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const limit = AbortSignal.timeout(60_000);
    while (!holds()) {
      if (limit.aborted) throw new Error(`${what} did not happen; the last attempt: ${JSON.stringify(this.attempt)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 20);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #accept(socket: WebSocket): void {
    const nonce = Buffer.alloc(32, 7).toString('base64');
    const say = (message: HubMessage) => socket.send(JSON.stringify(message));
    say({ type: 'challenge', nonce, versions: [1] });
    socket.on('error', () => socket.terminate());
    socket.on('close', (code) => {
      this.closeCodes.push(code);
      this.#wake();
    });
    socket.on('message', (data) => {
      this.#receive(JSON.parse(data.toString()) as AgentMessage, { socket, nonce, say });
      this.#wake();
    });
  }

  #receive(message: AgentMessage, from: Omit<Peer, 'hello'>): void {
    switch (message.type) {
      case 'hello': {
        const peer = { ...from, hello: message };
        this.hellos.push(peer);
        if (this.greet !== undefined) {
          this.greet(peer);
          return;
        }
        from.say({ type: 'welcome', version: 1, replica: 'hub-0', heartbeatSeconds: 1 });
        if (message.purpose === 'session' && this.desired !== undefined) from.say(this.desired);
        return;
      }
      case 'report':
        this.reports.push(message.state);
        if (this.acks) from.say({ type: 'ack', seq: message.seq });
        return;
      case 'confirm': {
        this.confirms.push({ attempt: message.attempt, closure: message.closure });
        const answer = this.answer(message.attempt);
        if (answer !== undefined) from.say(answer);
      }
    }
  }
}

export const A = '/nix/store/00000000000000000000000000000000-a';
export const B = '/nix/store/11111111111111111111111111111111-b';
export const C = '/nix/store/22222222222222222222222222222222-c';

/** An order that a test changes where it matters. */
export function desired(change: Partial<DesiredMessage> = {}): DesiredMessage {
  return {
    type: 'desired',
    id: 'order-1',
    sequence: 1,
    revision: 'aaaaaaaaaaaa',
    closure: B,
    go: true,
    mode: 'switch',
    switchTimeoutSeconds: 10,
    confirmTimeoutSeconds: 60,
    healthChecks: [],
    substituters: [],
    ...change,
  };
}
