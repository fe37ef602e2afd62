// A try of a tcp check: connects, and hangs up.
import type { HealthCheck } from '@floe/crds/health-check';
import { isLate, type Network } from './network.ts';
import type { Probe } from './probe.ts';

/** One connection may take this long. */
const LIMIT_MS = 10_000;

/** Tries whether the port accepts a connection. */
export function tcpProbe({ host = 'localhost', port }: NonNullable<HealthCheck['tcp']>, network: Network): Probe {
  const where = `${host}:${port}`;
  return async (signal) => {
    try {
      const socket = await network.dial({ host, port }, AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]));
      socket.destroy();
      return { passed: true, said: `${where} accepts connections` };
    } catch (error: unknown) {
      return { passed: false, said: `${where} can't be connected to: ${reason(error)}` };
    }
  };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isLate(error)) return 'no answer in time';
  return 'code' in error ? String(error.code) : error.message;
}
