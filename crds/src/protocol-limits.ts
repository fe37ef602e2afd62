// Numbers of the agent protocol that both ends need at run time, apart from the schemas so that no schema library is loaded.

/** Protocol versions that this build speaks, newest first; a hub serves the two before its own as well. */
export const PROTOCOL_VERSIONS = [1] as const;
/** First line of what an agent signs. */
export const PROTOCOL_NAME = 'floe-agent/v1';
/** Namespace of the SSHSIG signature (PROTOCOL.sshsig of OpenSSH). */
export const SIGNATURE_NAMESPACE = 'floe-agent';
/** Largest message in bytes that either side accepts. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
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
