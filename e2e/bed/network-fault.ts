// Network faults of one cluster: packets that are dropped until the fault is removed.
import type { Enclosure } from './enclosure.ts';
import { run, tryRun } from './run.ts';

export interface Block {
  /** An address or a network of the sender: a machine's `address`, `10.244.0.0/24` for all pods. */
  readonly from: string;
  /** An address or a network: a Service's ClusterIP, for instance. */
  readonly to: string;
  /** Only this TCP port. */
  readonly port?: number;
}

export interface NetworkFault {
  remove(): Promise<void>;
}

export class NetworkFaults {
  readonly #enclosure: Enclosure;

  constructor(enclosure: Enclosure) {
    this.#enclosure = enclosure;
  }

  /** Drops what `from` sends to `to`, open connections included: nobody is told, as when a cable is cut. */
  async block(block: Block): Promise<NetworkFault> {
    // Before Services are rewritten to pods: what was sent to a ClusterIP is still addressed to it.
    const port = block.port === undefined ? [] : ['-p', 'tcp', '--dport', String(block.port)];
    const rule = ['PREROUTING', '-s', block.from, '-d', block.to, ...port, '-j', 'DROP'];
    await this.#iptables(['-I', ...rule]);
    return {
      remove: async () => {
        await tryRun(await this.#enclosure.enter('all', ['iptables', '-w', '10', '-t', 'mangle', '-D', ...rule]));
      },
    };
  }

  /** Removes every fault. */
  async clear(): Promise<void> {
    await this.#iptables(['-F', 'PREROUTING']);
  }

  async #iptables(args: readonly string[]): Promise<void> {
    await run(await this.#enclosure.enter('all', ['iptables', '-w', '10', '-t', 'mangle', ...args]));
  }
}
