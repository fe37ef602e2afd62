// Starts listening on a port.
import type { Server } from 'node:net';

/** Listens, or rejects with why not. */
export function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
