// Watches all machines of an API server, event by event: who was told what, and how many were being switched at once.
import { FINAL_PHASES } from '@floe/crds/attempt-phase';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { KubeClient } from '@floe/operator/kube/client';
import { Reflector } from '@floe/operator/kube/reflector';
import { nixMachines } from '@floe/operator/kube/resource';
import { Store } from '@floe/operator/kube/store';
import { waitUntil } from '../bed/wait-until.ts';
import { silentLog } from '../fake-apiserver/silent-log.ts';

export class MachineWatch {
  readonly #machines = new Map<string, NixMachine>();
  /** Ids of the orders with a go, by machine and closure. */
  readonly #orders = new Map<string, Set<string>>();
  #most: readonly string[] = [];

  /** Watches until `signal` aborts; returns once so many machines were seen. */
  static async start(
    count: number,
    { client, signal }: { client: KubeClient; signal: AbortSignal },
  ): Promise<MachineWatch> {
    const watch = new MachineWatch();
    const store = new Store<NixMachine>();
    store.subscribe(({ object }) => watch.#see(object));
    const reflector = new Reflector({ client, resource: nixMachines, store, log: silentLog() });
    void reflector.run(signal).catch(() => undefined);
    await waitUntil(async () => watch.#machines.size === count, { what: 'the watch to have seen all machines' });
    return watch;
  }

  /** Waits until every machine has ended its order; one that tells it what it runs anyway takes a moment, too. */
  async calm(): Promise<void> {
    const isCalm = ({ status }: NixMachine): boolean =>
      status?.attempt?.finishedAt !== undefined && status.attempt.desiredId === status.desired?.id;
    await waitUntil(async () => [...this.#machines.values()].every(isCalm), {
      what: 'every machine to have ended its order',
      timeoutSeconds: 120,
    });
  }

  /** The machines that were being switched at once when they were most, each with what its status said. */
  get most(): readonly string[] {
    return this.#most;
  }

  /** Forgets what was most before. */
  forget(): void {
    this.#most = [];
  }

  /** The machine as it was seen last. */
  status(machine: string): NonNullable<NixMachine['status']> {
    return this.#machines.get(machine)?.status ?? {};
  }

  /** How many orders with a go a machine has had for a closure. */
  told(machine: string, closure: string): number {
    return this.#orders.get(`${machine} ${closure}`)?.size ?? 0;
  }

  #see(machine: NixMachine): void {
    const { name } = machine.metadata;
    this.#machines.set(name, machine);
    const { desired } = machine.status ?? {};
    if (desired?.go === true) {
      const key = `${name} ${desired.closure}`;
      this.#orders.set(key, (this.#orders.get(key) ?? new Set()).add(desired.id));
    }
    const now = [...this.#machines.values()].filter(isSwitching);
    if (now.length > this.#most.length) this.#most = now.map(wordsOf);
  }
}

/** Whether the machine has its go and is not done, as its own status says. */
function isSwitching({ status }: NixMachine): boolean {
  const { desired, attempt, current } = status ?? {};
  if (desired?.go !== true) return false;
  if (attempt?.desiredId === desired.id) return !(FINAL_PHASES as readonly string[]).includes(attempt.phase);
  return current?.closure !== desired.closure;
}

/** `m1 Testing, told 2026-03-01T12:00:00Z`. */
function wordsOf({ metadata, status }: NixMachine): string {
  const { desired, attempt, connection } = status ?? {};
  const own = attempt?.desiredId === desired?.id ? attempt?.phase : undefined;
  const off = connection?.online === true ? '' : `, off since ${connection?.since}`;
  return `${metadata.name} ${own ?? 'unheard of'}, told ${desired?.since}${off}`;
}
