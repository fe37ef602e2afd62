// A try of a tcp check: connects, and hangs up.
import { connect } from 'node:net';
import type { HealthCheck } from '@floe/crds/health-check';
import type { Probe } from './probe.ts';

/** One connection may take this long. */
const LIMIT_MS = 10_000;

/** Tries whether the port accepts a connection. */
export function tcpProbe({ host = 'localhost', port }: NonNullable<HealthCheck['tcp']>): Probe {
  const where = `${host}:${port}`;
  return (signal) =>
    new Promise((resolve) => {
      const socket = connect({ host, port, signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]) });
      socket.once('connect', () => {
        socket.destroy();
        resolve({ passed: true, said: `${where} accepts connections` });
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.name === 'AbortError' ? 'no answer in time' : (error.code ?? error.message);
        resolve({ passed: false, said: `${where} can't be connected to: ${why}` });
      });
    });
}
