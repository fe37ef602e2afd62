// Ends the sessions of a replica that ends: spread over time and in no order, so that those who take them in are not flooded.
import type { Connection } from './connection.ts';
import { pauseBetween } from './drain.ts';

/** Shorter pauses than this are saved up. */
const SHORTEST_MS = 20;

/** Sends everybody in a session away, within a share of the drain's `seconds`; `sleep` returns early when that is over. */
export async function sendAway(
  connections: Iterable<Connection>,
  { seconds, sleep }: { seconds: number; sleep: (ms: number) => Promise<void> },
): Promise<void> {
  const sessions = [...connections]
    .filter(({ phase }) => phase === 'session')
    .map((connection) => ({ connection, at: Math.random() }))
    .sort((a, b) => a.at - b.at);
  const started = performance.now();
  const eachMs = pauseBetween(sessions.length, seconds);
  for (const [index, { connection }] of sessions.entries()) {
    connection.handle({ kind: 'draining' });
    const aheadMs = index * eachMs - (performance.now() - started);
    if (aheadMs > SHORTEST_MS) await sleep(aheadMs);
  }
}
