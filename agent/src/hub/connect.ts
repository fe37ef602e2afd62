// Opens a connection to the hub and proves who this machine is: challenge, hello, welcome.
import type { Hello, HubMessage, Welcome } from '@floe/crds/protocol';
import { HELLO_TIMEOUT_SECONDS, PROTOCOL_VERSIONS, SIGNATURE_NAMESPACE, signedText } from '@floe/crds/protocol-limits';
import type { HostKey } from '../identity/openssh-key.ts';
import { sshSign } from '../identity/sshsig.ts';
import { type Address, dial, type HubSocket } from './socket.ts';

/** Who dials, and whom. */
export type Caller = {
  readonly address: Address;
  readonly namespace: string;
  readonly machine: string;
  readonly key: HostKey;
  readonly agent: Hello['agent'];
};

export type Connected =
  | { readonly kind: 'open'; readonly socket: HubSocket; readonly welcome: Welcome }
  | { readonly kind: 'refused'; readonly message: string; readonly retryAfterSeconds?: number }
  | { readonly kind: 'unreachable'; readonly message: string };

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

async function greet(
  socket: HubSocket,
  caller: Caller,
  purpose: Hello['purpose'],
  limit: AbortSignal,
): Promise<Connected> {
  const challenge = await socket.receive(limit);
  if (challenge === undefined) return { kind: 'unreachable', message: (await socket.ended).reason };
  if (challenge.type !== 'challenge') return refusal(challenge);
  const hello = helloFor(caller, purpose, challenge);
  if (hello === undefined) {
    const spoken = PROTOCOL_VERSIONS.join(', ');
    const message = `the hub speaks protocol ${challenge.versions.join(', ')}, this agent ${spoken}: update the older one`;
    return { kind: 'refused', message };
  }
  socket.send(hello);
  const answer = await socket.receive(limit);
  if (answer === undefined) return { kind: 'unreachable', message: (await socket.ended).reason };
  return answer.type === 'welcome' ? { kind: 'open', socket, welcome: answer } : refusal(answer);
}

/** Connects for one purpose. Rejects only when the signal aborts; a connection that is not open is closed. */
export async function connect(caller: Caller, purpose: Hello['purpose'], signal: AbortSignal): Promise<Connected> {
  signal.throwIfAborted();
  const socket = dial(caller.address);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(2 * HELLO_TIMEOUT_SECONDS * 1000)]);
  let connected: Connected | undefined;
  try {
    connected = await greet(socket, caller, purpose, limit);
    return connected;
  } catch (error: unknown) {
    if (signal.aborted || !limit.aborted) throw error;
    return { kind: 'unreachable', message: `no answer within ${2 * HELLO_TIMEOUT_SECONDS} s` };
  } finally {
    if (connected?.kind !== 'open') socket.close(1000, 'not let in');
  }
}
