// The agent's local socket: who may open it, that is its group, may say four words. No shell, no path, no command.
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { type LocalAnswer, type LocalRequest, MAX_ANSWER, MAX_REQUEST, parseRequest } from './local-protocol.ts';

export type LocalSocketOptions = {
  readonly path: string;
  /** Number of the group whose members may use it; undefined: root alone. */
  readonly gid: number | undefined;
  readonly handle: (request: LocalRequest) => Promise<LocalAnswer>;
  readonly signal: AbortSignal;
};

/** Connections that have not said anything whole yet: the oldest goes for another, so that no user keeps root out. */
const MAX_SILENT = 16;
const MAX_CONNECTIONS = 64;
const LIMIT_MS = 30_000;

/** Listens until the signal aborts. Rejects where the socket can't be made. */
export async function serveLocal({ path, gid, handle, signal }: LocalSocketOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await rm(path, { force: true });
  const silent = new Set<Socket>();
  const server = createServer((socket) => {
    if (silent.size >= MAX_SILENT) silent.values().next().value?.destroy();
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
    serve(socket, handle, () => silent.delete(socket));
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listenPrivately(server, path);
  // Who opens the socket before this is root.
  if (gid !== undefined) await chown(path, process.getuid?.() ?? 0, gid);
  await chmod(path, gid === undefined ? 0o600 : 0o660);
  const close = () => server.close();
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
}

async function listenPrivately(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    // The file is made in this call, before others have their turn.
    const listening = new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
    });
    server.listen(path);
    process.umask(before);
    await listening;
  } finally {
    process.umask(before);
  }
}

function serve(socket: Socket, handle: LocalSocketOptions['handle'], spoke: () => void): void {
  let text = '';
  let answered = false;
  socket.setTimeout(LIMIT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.setEncoding('utf8');
  const answer = (value: LocalAnswer) => socket.end(`${JSON.stringify(value).slice(0, MAX_ANSWER)}\n`);
  socket.on('data', (chunk: string) => {
    if (answered) return;
    text += chunk;
    const end = text.indexOf('\n');
    if (end < 0 && text.length <= MAX_REQUEST) return;
    answered = true;
    spoke();
    if (end < 0 || end > MAX_REQUEST) {
      answer({ ok: false, message: `A request is one line of at most ${MAX_REQUEST} characters.` });
      return;
    }
    const request = parseRequest(text.slice(0, end));
    if ('fault' in request) answer({ ok: false, message: `That is not understood: ${request.fault}.` });
    else void handle(request).then(answer);
  });
}
