// Where a connection comes from, as people write it.
import type { Socket } from 'node:net';

/** The other end's address; an IPv4 one without the prefix that a socket for both families gives it. */
export function peerAddress({ remoteAddress }: Pick<Socket, 'remoteAddress'>): string {
  return remoteAddress?.replace(/^::ffff:(?=[\d.]+$)/i, '') ?? 'unknown';
}
