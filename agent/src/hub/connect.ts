// Opens a connection to the hub and proves who this machine is: challenge, hello, welcome.
import type { Hello, HubMessage, Welcome } from '@floe/crds/protocol';
import { HELLO_TIMEOUT_SECONDS, PROTOCOL_VERSIONS, SIGNATURE_NAMESPACE, signedText } from '@floe/crds/protocol-limits';
import type { HostKey } from '../identity/openssh-key.ts';
import { sshSign } from '../identity/sshsig.ts';
import type { Address, HubSocket, Transport } from './hub-socket.ts';
import { dialPoll } from './poll-socket.ts';
import { dial } from './socket.ts';
import type { TransportMemory } from './transport.ts';

/** Who dials, and whom. */
export type Caller = {
  readonly address: Address;
  readonly namespace: string;
  readonly machine: string;
  readonly key: HostKey;
  readonly agent: Hello['agent'];
  /** Which way led to the hub last; shared by all connections of a process. */
  readonly transports: TransportMemory;
  /** For a machine that has no identity yet. */
  readonly joinToken?: string | undefined;
};

export type Connected =
  | { readonly kind: 'open'; readonly socket: HubSocket; readonly welcome: Welcome }
  | { readonly kind: 'refused'; readonly message: string; readonly retryAfterSeconds?: number }
  | { readonly kind: 'unreachable'; readonly message: string; readonly blocked?: boolean };

function helloFor(
  caller: Caller,
  purpose: Hello['purpose'],
  challenge: Extract<HubMessage, { type: 'challenge' }>,
): Hello | undefined {
  const version = PROTOCOL_VERSIONS.find((one) => challenge.versions.includes(one));
  if (version === undefined) return undefined;
  const facts = {
    version,
    purpose,
    namespace: caller.namespace,
    machine: caller.machine,
    host: new URL(caller.address.url).host,
    time: new Date().toISOString(),
  };
  return {
    type: 'hello',
    ...facts,
    publicKey: caller.key.publicKey,
    signature: sshSign(caller.key, SIGNATURE_NAMESPACE, signedText({ ...facts, nonce: challenge.nonce })),
    agent: caller.agent,
    ...(caller.joinToken === undefined ? {} : { joinToken: caller.joinToken }),
  };
}

function refusal(message: HubMessage): Connected {
  if (message.type !== 'refused') {
    return { kind: 'unreachable', message: `the hub sent "${message.type}" where it should have let in or refused` };
  }
  return {
    kind: 'refused',
    message: `the hub refuses this machine (${message.reason}): ${message.message}`,
    ...(message.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: message.retryAfterSeconds }),
  };
}

async function lost(socket: HubSocket): Promise<{ message: string; blocked: boolean }> {
  const { reason, blocked } = await socket.ended;
  return { message: reason, blocked };
}

async function greet(
  socket: HubSocket,
  caller: Caller,
  purpose: Hello['purpose'],
  limit: AbortSignal,
): Promise<Connected> {
  const challenge = await socket.receive(limit);
  if (challenge === undefined) return { kind: 'unreachable', ...(await lost(socket)) };
  if (challenge.type !== 'challenge') return refusal(challenge);
  const hello = helloFor(caller, purpose, challenge);
  if (hello === undefined) {
    const spoken = PROTOCOL_VERSIONS.join(', ');
    const message = `the hub speaks protocol ${challenge.versions.join(', ')}, this agent ${spoken}: update the older one`;
    return { kind: 'refused', message };
  }
  socket.send(hello);
  const answer = await socket.receive(limit);
  if (answer === undefined) return { kind: 'unreachable', ...(await lost(socket)) };
  return answer.type === 'welcome' ? { kind: 'open', socket, welcome: answer } : refusal(answer);
}

/** Connects one way. Rejects only when the signal aborts; a connection that is not open is closed. */
async function connectBy(
  transport: Transport,
  caller: Caller,
  purpose: Hello['purpose'],
  signal: AbortSignal,
): Promise<Connected> {
  signal.throwIfAborted();
  const socket = transport === 'poll' ? dialPoll(caller.address) : dial(caller.address);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(2 * HELLO_TIMEOUT_SECONDS * 1000)]);
  let connected: Connected | undefined;
  try {
    connected = await greet(socket, caller, purpose, limit);
    return connected;
  } catch (error: unknown) {
    if (signal.aborted || !limit.aborted) throw error;
    socket.close(1000, `no answer within ${2 * HELLO_TIMEOUT_SECONDS} s`);
    return { kind: 'unreachable', message: (await socket.ended).reason, blocked: (await socket.ended).blocked };
  } finally {
    if (connected?.kind !== 'open') socket.close(1000, 'not let in');
  }
}

/**
 * Connects for one purpose: by the way that worked last, else by a WebSocket, and by long poll where something between
 * lets no WebSocket through. Rejects only when the signal aborts.
 */
export async function connect(caller: Caller, purpose: Hello['purpose'], signal: AbortSignal): Promise<Connected> {
  const { transports } = caller;
  const { preferred } = transports;
  const first = await connectBy(preferred, caller, purpose, signal);
  if (first.kind !== 'unreachable') {
    transports.worked(preferred);
    return first;
  }
  if (preferred === 'poll') {
    transports.pollFailed();
    return first;
  }
  if (first.blocked !== true) return first;
  const second = await connectBy('poll', caller, purpose, signal);
  if (second.kind !== 'unreachable') transports.worked('poll');
  return second.kind === 'unreachable'
    ? { kind: 'unreachable', message: `by WebSocket: ${first.message}; by long poll: ${second.message}` }
    : second;
}

/** Whether a WebSocket leads to a hub now: up to its challenge, and no further. */
export async function isWebSocketOpen(address: Address, signal: AbortSignal): Promise<boolean> {
  const socket = dial(address);
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(HELLO_TIMEOUT_SECONDS * 1000)]);
    return (await socket.receive(limit))?.type === 'challenge';
  } catch {
    return false;
  } finally {
    socket.close(1000, 'only asked');
  }
}
