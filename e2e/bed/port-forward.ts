// Ports of the host's loopback that lead into a cluster's network, for programs that run outside of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Enclosure } from './enclosure.ts';
import { cacheDir } from './paths.ts';
import { waitUntil } from './wait-until.ts';

interface Forward {
  readonly socat: ChildProcess;
  readonly server: Server;
}

export class PortForwards {
  readonly #dir: string;
  readonly #enclosure: Enclosure;
  readonly #open: Forward[] = [];
  #count = 0;

  constructor(dir: string, enclosure: Enclosure) {
    this.#dir = join(dir, 'forwards');
    this.#enclosure = enclosure;
  }

  /** Returns the port of 127.0.0.1 that leads to `host:port` inside. It ends with this process or with `closeAll`. */
  async open(host: string, port: number): Promise<number> {
    await mkdir(this.#dir, { recursive: true });
    // A socket that is a file is reached from every network namespace: socat listens on it from inside, Node connects from outside.
    const socket = join(this.#dir, `${process.pid}-${this.#count++}`);
    if (socket.length > 100)
      throw new Error(`the path of a socket would be too long: set FLOE_CACHE to a shorter one than ${cacheDir()}`);
    await rm(socket, { force: true });
    const command = [
      'setpriv',
      '--pdeathsig',
      'KILL',
      'socat',
      `UNIX-LISTEN:${socket},fork,backlog=512`,
      `TCP:${host}:${port},nodelay`,
    ];
    const [program = 'nsenter', ...args] = await this.#enclosure.enter('network', command);
    const socat = spawn(program, args, { stdio: 'ignore' });
    await waitUntil(async () => existsSync(socket), { what: `the way to ${host}:${port}`, everySeconds: 0.02 });
    const server = createServer((outside) => {
      const inside = connect(socket);
      outside.on('error', () => inside.destroy());
      inside.on('error', () => outside.destroy());
      outside.on('close', () => inside.destroy());
      inside.on('close', () => outside.destroy());
      outside.pipe(inside).pipe(outside);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    this.#open.push({ socat, server });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    return address.port;
  }

  async closeAll(): Promise<void> {
    for (const { socat, server } of this.#open.splice(0)) {
      server.close();
      socat.kill('SIGKILL');
    }
  }
}
