// Keeps the machine connected: reconnects with jitter, takes orders, and reports until what is reported is acknowledged.
import type { DesiredMessage, MachineState } from '@floe/crds/protocol';
import type { Clock } from '../attempt/ports.ts';
import { backoffMs } from '../backoff.ts';
import type { Log } from '../log.ts';
import { type Caller, connect } from './connect.ts';
import type { Reporter } from './reporter.ts';
import type { HubSocket } from './socket.ts';

export type SessionPorts = {
  readonly caller: () => Promise<Caller>;
  readonly reporter: Reporter;
  readonly onDesired: (message: DesiredMessage) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
};

const BACKOFF = { baseMs: 1_000, maxMs: 60_000 };
const MIN_PAUSE_MS = 250;
/** A connection that lasted this long starts the back-off anew. */
const STABLE_MS = 60_000;
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

/** One session from its welcome to its end. */
async function hold(
  socket: HubSocket,
  heartbeatSeconds: number,
  ports: SessionPorts,
  signal: AbortSignal,
): Promise<string> {
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const beating = heartbeat(socket, heartbeatSeconds, ports, within).catch(() => undefined);
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
  const connected = await connect(await caller(), 'session', signal);
  if (connected.kind !== 'open') {
    log.warn(`no connection to the hub: ${connected.message}`);
    const seconds = connected.kind === 'refused' ? (connected.retryAfterSeconds ?? 0) : 0;
    return { lastedMs: 0, floorMs: seconds * 1000 };
  }
  log.info(`connected to the hub (replica ${connected.welcome.replica})`);
  const since = clock.now().monotonicMs;
  const reason = await hold(connected.socket, connected.welcome.heartbeatSeconds, ports, signal);
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
