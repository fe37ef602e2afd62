// What as many connections cost a Node process that does nothing with them: below that, no hub in Node can be.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { recipe } from '../bed/paths.ts';
import { NODE_FLAGS } from './operator-process.ts';
import { memoryMiB } from './process-cost.ts';

export type BareServerOptions = {
  readonly certFile: string;
  readonly keyFile: string;
  readonly connections: number;
  readonly signal: AbortSignal;
};

/** Connections that are opened at once. */
const AT_ONCE = 50;
/** Bytes of the one message that each sends. */
const MESSAGE_BYTES = 4096;

/** Resident memory, in MiB, of a WebSocket server over TLS with nothing but so many connections. Ends it afterwards. */
export async function bareServerMiB(options: BareServerOptions): Promise<number> {
  const { certFile, keyFile, connections, signal } = options;
  const ca = await readFile(certFile);
  const main = recipe('bench', 'bare-server-main.ts');
  const child = spawn(process.execPath, [...NODE_FLAGS, main, certFile, keyFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
  const exited = once(child, 'exit').catch(() => undefined);
  const open: WebSocket[] = [];
  try {
    const [port] = await once(createInterface({ input: child.stdout }), 'line', { signal });
    while (open.length < connections) {
      const few = Math.min(AT_ONCE, connections - open.length);
      const group = Array.from({ length: few }, () => new WebSocket(`wss://127.0.0.1:${port}`, { ca }));
      open.push(...group);
      await Promise.all(group.map((socket) => spoken(socket, signal)));
    }
    return (await memoryMiB(child.pid ?? 0)).now;
  } finally {
    for (const socket of open) socket.terminate();
    child.kill('SIGKILL');
    await exited;
  }
}

/** Resolves when the socket is open and its message has come back. */
async function spoken(socket: WebSocket, signal: AbortSignal): Promise<void> {
  await once(socket, 'open', { signal });
  const answer = once(socket, 'message', { signal });
  socket.send(Buffer.alloc(MESSAGE_BYTES));
  await answer;
}
