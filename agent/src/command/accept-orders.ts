// `floe-agent accept-orders`: the machine takes the next order whatever its number, after a wrong clock or a forged order.
import type { World } from './compose.ts';

const LIMIT_MS = 60_000;

/** Forgets the highest number of an order and lets the agent start again with that; returns what is to be told. */
export async function runAcceptOrders(
  { ledger, host }: Pick<World, 'ledger' | 'host'>,
  signal: AbortSignal,
): Promise<string> {
  try {
    const before = await ledger.forgetSequence(signal);
    // The agent that runs remembers it as well.
    await host.refreshAgent?.(AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]));
    return `The highest number of an order was ${before}; the next order is accepted whatever its number.\n`;
  } finally {
    ledger.release();
  }
}
