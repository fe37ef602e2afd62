// Numbers of the agent protocol that both ends need at run time, apart from the schemas so that no schema library is loaded.

/** Protocol versions that this build speaks, newest first; a hub serves the two before its own as well. */
export const PROTOCOL_VERSIONS = [1] as const;
/** First line of what an agent signs. */
export const PROTOCOL_NAME = 'floe-agent/v1';
/** Namespace of the SSHSIG signature (PROTOCOL.sshsig of OpenSSH). */
export const SIGNATURE_NAMESPACE = 'floe-agent';
/** Largest message in bytes that either side accepts. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
/** Bytes that an agent may send before its hello has held: enough for one, and nothing to fill a memory with. */
export const GREETING_BYTES = 16 * 1024;
/** Largest body of a long poll in bytes, either way. */
export const MAX_POLL_BYTES = 512 * 1024;
/** Messages in one body of a long poll at most. */
export const MAX_POLL_MESSAGES = 16;
/** Seconds that the hub holds a long poll at most. */
export const POLL_HOLD_SECONDS = 25;
/** Seconds from the answer to a long poll to the next request, after which the machine counts as gone. */
export const POLL_GAP_SECONDS = 20;
/** Seconds that a new connection has to complete the hello. */
export const HELLO_TIMEOUT_SECONDS = 15;

/** What an agent signs: one value per line, ended by a line feed each. */
export function signedText(hello: {
  version: number;
  purpose: string;
  host: string;
  namespace: string;
  machine: string;
  nonce: string;
  time: string;
}): string {
  const { version, purpose, host, namespace, machine, nonce, time } = hello;
  return `${[PROTOCOL_NAME, version, purpose, host, namespace, machine, nonce, time].join('\n')}\n`;
}
