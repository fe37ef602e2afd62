// Keeps the machine connected: reconnects with jitter, takes orders, and reports until what is reported is acknowledged.
import type { AgentMessage, DesiredMessage, MachineState } from '@floe/crds/protocol';
import type { SecretMessage, SecretsMessage } from '@floe/crds/secrets';
import type { Clock } from '../attempt/ports.ts';
import { backoffMs } from '../backoff.ts';
import type { Log } from '../log.ts';
import { type Caller, connect, isWebSocketOpen } from './connect.ts';
import type { HubSocket } from './hub-socket.ts';
import type { Reporter } from './reporter.ts';

/** Where lists and contents of secrets go. */
export interface SecretsTaker {
  list(list: SecretsMessage, send: (message: AgentMessage) => void): void;
  content(message: SecretMessage): void;
}

export type SessionPorts = {
  readonly caller: () => Promise<Caller>;
  readonly reporter: Reporter;
  readonly onDesired: (message: DesiredMessage) => void;
  /** Takes files of secrets; absent: the hub sends none. */
  readonly secrets?: SecretsTaker;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
  /** Milliseconds between two tries of a WebSocket while the session goes by long poll; default an hour. */
  readonly probeMs?: number;
};

const BACKOFF = { baseMs: 1_000, maxMs: 60_000 };
const MIN_PAUSE_MS = 250;
/** A connection that lasted this long starts the back-off anew. */
const STABLE_MS = 60_000;
/** Between two looks whether a WebSocket gets through by now, while the session goes by long poll. */
const PROBE_MS = 3_600_000;
/** Pings without a sign of life after which the connection counts as dead. */
const MISSED_PINGS = 3;

/** Pings as often as the hub asks for, and ends a connection that does not answer. */
async function heartbeat(
  socket: HubSocket,
  seconds: number,
  { clock }: SessionPorts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(seconds * 1000, signal);
    if (socket.unanswered >= MISSED_PINGS) socket.close(4000, `no answer to ${MISSED_PINGS} pings`);
    else socket.ping();
  }
}

async function converse(socket: HubSocket, ports: SessionPorts, signal: AbortSignal): Promise<void> {
  for (;;) {
    const message = await socket.receive(signal);
    if (message === undefined) return;
    switch (message.type) {
      case 'desired':
        ports.onDesired(message);
        break;
      case 'secrets':
        ports.secrets?.list(message, (question) => socket.send(question));
        break;
      case 'secret':
        ports.secrets?.content(message);
        break;
      case 'ack':
        ports.reporter.acknowledged(message.seq);
        break;
      case 'refused':
        ports.log.warn(`the hub ends the session (${message.reason}): ${message.message}`);
        break;
      default:
        socket.close(1008, `a ${message.type} is not expected in a session`);
        return;
    }
  }
}

/** Ends a session by long poll once a WebSocket gets through; the next connection is one. */
async function probe(
  socket: HubSocket,
  { address, transports }: Caller,
  { clock, probeMs = PROBE_MS }: SessionPorts,
  signal: AbortSignal,
): Promise<void> {
  while (socket.transport === 'poll') {
    await clock.sleep(probeMs, signal);
    if (!(await isWebSocketOpen(address, signal))) continue;
    transports.worked('websocket');
    socket.close(1000, 'a WebSocket gets through now');
    return;
  }
}

/** One session from its welcome to its end. */
async function hold(
  { socket, heartbeatSeconds, dialler }: { socket: HubSocket; heartbeatSeconds: number; dialler: Caller },
  ports: SessionPorts,
  signal: AbortSignal,
): Promise<string> {
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const beating = Promise.allSettled([
    heartbeat(socket, heartbeatSeconds, ports, within),
    probe(socket, dialler, ports, within),
  ]);
  try {
    ports.reporter.attach((seq, state: MachineState) => socket.send({ type: 'report', seq, state }));
    await converse(socket, ports, signal);
    return (await socket.ended).reason;
  } finally {
    ports.reporter.detach();
    over.abort();
    socket.close(1000, 'the agent ends');
    await beating;
  }
}

/** One try: connects and holds the session to its end. Returns how long it lasted and what to wait at least. */
async function once(ports: SessionPorts, signal: AbortSignal): Promise<{ lastedMs: number; floorMs: number }> {
  const { clock, log, caller } = ports;
  const dialler = await caller();
  const connected = await connect(dialler, 'session', signal);
  if (connected.kind !== 'open') {
    log.warn(`no connection to the hub: ${connected.message}`);
    const seconds = connected.kind === 'refused' ? (connected.retryAfterSeconds ?? 0) : 0;
    return { lastedMs: 0, floorMs: seconds * 1000 };
  }
  const { socket, welcome } = connected;
  const way = socket.transport === 'poll' ? ', by long poll: no WebSocket gets through' : '';
  log.info(`connected to the hub (replica ${welcome.replica}${way})`);
  const since = clock.now().monotonicMs;
  const { heartbeatSeconds } = welcome;
  const reason = await hold({ socket, heartbeatSeconds, dialler }, ports, signal);
  log.warn(`the connection to the hub ended: ${reason}`);
  return { lastedMs: clock.now().monotonicMs - since, floorMs: 0 };
}

/** Stays connected until the signal aborts, then resolves. */
export async function runSession(ports: SessionPorts, signal: AbortSignal): Promise<void> {
  const { clock, log, random } = ports;
  let tries = 0;
  while (!signal.aborted) {
    let floorMs = 0;
    try {
      const ended = await once(ports, signal);
      floorMs = ended.floorMs;
      if (ended.lastedMs > STABLE_MS) tries = 0;
    } catch (error: unknown) {
      if (signal.aborted) return;
      log.error(`no connection to the hub: ${error instanceof Error ? error.message : error}`);
    }
    const jitterMs = backoffMs(tries, BACKOFF, random);
    tries += 1;
    await clock.sleep(Math.max(MIN_PAUSE_MS, floorMs + jitterMs), signal).catch(() => undefined);
  }
}
