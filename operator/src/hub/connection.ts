// One connection of an agent: carries out on a socket what the session's state machine says.
import { randomBytes } from 'node:crypto';
import type { Confirm, Hello, HubMessage, MachineState } from '@floe/crds/protocol';
import { HELLO_TIMEOUT_SECONDS } from '@floe/crds/protocol-limits';
import type { RefusalReason } from './admission.ts';
import { newSession, type SessionAction, type SessionInput, type SessionState, step } from './session.ts';

/** How an agent reaches the hub. */
export type Transport = 'websocket' | 'poll';

/** What a connection needs of a WebSocket, or of what stands in for one. */
export interface AgentSocket {
  send(text: string): void;
  ping(): void;
  /** Starts the closing handshake; the socket is destroyed when the other side does not answer. */
  close(code: number, reason: string): void;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
}

/** What a connection asks of the hub. */
export interface ConnectionOwner {
  onHello(connection: Connection, hello: Hello): void;
  onReport(connection: Connection, seq: number, state: MachineState): void;
  onConfirm(connection: Connection, confirm: Confirm): void;
  onWantSecrets(connection: Connection, names: readonly string[]): void;
  onRefused(connection: Connection, reason: RefusalReason): void;
  onSent(message: HubMessage): void;
}

/** Who is at the other end, once the hello held. */
export type Peer = {
  readonly key: string;
  readonly publicKey: string;
  readonly agent: Hello['agent'];
};

/** Bytes that may wait to be sent to one agent; one that does not read is cut off. */
const BUFFER_LIMIT = 1024 * 1024;

export class Connection {
  /** Host header with which it came. */
  readonly host: string;
  /** Address that it came from, for the log. */
  readonly address: string;
  readonly transport: Transport;
  readonly nonce: string = randomBytes(32).toString('base64');
  /** Set by the hub when the hello held. */
  peer: Peer | undefined;
  /** `namespace/name` that a hello named which was refused, for the log. */
  claim: string | undefined;
  /** Whether the status of the machine said that it is connected here, since it is. */
  claimed = false;
  /** What the machine reported last, to be stored again if the status is lost. */
  lastState: MachineState | undefined;
  readonly #socket: AgentSocket;
  readonly #owner: ConnectionOwner;
  readonly #helloTimer: NodeJS.Timeout;
  #heartbeat: NodeJS.Timeout | undefined;
  #state: SessionState = newSession;

  constructor(
    socket: AgentSocket,
    owner: ConnectionOwner,
    { host, address, transport }: { host: string; address: string; transport: Transport },
  ) {
    this.#socket = socket;
    this.#owner = owner;
    this.host = host;
    this.address = address;
    this.transport = transport;
    this.#helloTimer = setTimeout(() => this.handle({ kind: 'timeout' }), HELLO_TIMEOUT_SECONDS * 1000);
    this.handle({ kind: 'opened', nonce: this.nonce });
  }

  get phase(): SessionState['phase'] {
    return this.#state.phase;
  }

  /** Feeds the state machine. */
  handle(input: SessionInput): void {
    const { state, actions } = step(this.#state, input);
    this.#state = state;
    if (state.phase === 'closed') this.#stopTimers();
    for (const action of actions) this.#do(action);
  }

  /** A text frame that came in. */
  text(text: string): void {
    this.handle({ kind: 'text', text, at: performance.now() / 1000 });
  }

  /** The session has begun: the limit for the hello no longer counts, heartbeats do. */
  begin(heartbeatSeconds: number): void {
    clearTimeout(this.#helloTimer);
    // Spread, so that ten thousand sessions that began together do not ping together for ever.
    const everyMs = heartbeatSeconds * 1000 * (0.9 + 0.2 * Math.random());
    this.#heartbeat = setInterval(() => this.handle({ kind: 'heartbeat' }), everyMs);
  }

  /** The socket is gone. */
  closed(): void {
    this.#state = { ...this.#state, phase: 'closed' };
    this.#stopTimers();
  }

  #stopTimers(): void {
    clearTimeout(this.#helloTimer);
    clearInterval(this.#heartbeat);
  }

  #do(action: SessionAction): void {
    switch (action.kind) {
      case 'send':
        this.#send(action.message);
        break;
      case 'admit':
        this.#owner.onHello(this, action.hello);
        break;
      case 'report':
        this.#owner.onReport(this, action.seq, action.state);
        break;
      case 'confirm':
        this.#owner.onConfirm(this, action.confirm);
        break;
      case 'wantSecrets':
        this.#owner.onWantSecrets(this, action.names);
        break;
      case 'count':
        this.#owner.onRefused(this, action.refused);
        break;
      case 'ping':
        this.#socket.ping();
        break;
      case 'close':
        this.#socket.close(action.code, action.reason);
    }
  }

  #send(message: HubMessage): void {
    if (this.#socket.bufferedAmount > BUFFER_LIMIT) {
      this.closed();
      this.#socket.close(1008, 'reads too slowly');
      return;
    }
    this.#owner.onSent(message);
    this.#socket.send(JSON.stringify(message));
  }
}
