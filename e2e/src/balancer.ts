// A load balancer of TCP connections in front of replicas that come and go, as a Service is.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Balancer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #ports: readonly number[] = [];
  #turn = 0;

  private constructor() {
    this.#server = createServer((client) => this.#lead(client));
  }

  /** Listens on a free port of 127.0.0.1; leads nowhere before it is told. */
  static async start(): Promise<Balancer> {
    const balancer = new Balancer();
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where new connections are led from now on, in turn; open ones stay where they are. */
  lead(ports: readonly number[]): void {
    this.#ports = ports;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #lead(client: Socket): void {
    const port = this.#ports[this.#turn++ % Math.max(1, this.#ports.length)];
    if (port === undefined) {
      client.destroy();
      return;
    }
    const replica = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, replica],
      [replica, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
