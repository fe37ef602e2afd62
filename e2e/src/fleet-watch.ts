// Watches the machines of the fleet as the API server tells it, event by event: who was told what, and how many were being switched at once.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { FINAL_PHASES } from '@floe/crds/attempt-phase';
import type { Desired, NixMachine } from '@floe/crds/nix-machine';
import { waitUntil } from '../bed/wait-until.ts';
import { type Installation, NAMESPACE } from './installation.ts';

const PATH = `/apis/floe.dev/v1alpha1/namespaces/${NAMESPACE}/nixmachines?watch=1`;

/** One order to one machine. */
export type Told = { readonly machine: string; readonly desired: Desired };

type Event = { readonly type: string; readonly object: NixMachine };

export class FleetWatch implements AsyncDisposable {
  readonly #floe: Installation;
  readonly #machines = new Map<string, NixMachine>();
  /** Machines that the present watch has told of; until it has told of all, states of different times are mixed. */
  readonly #fresh = new Set<string>();
  readonly #told = new Map<string, Told>();
  #most: readonly string[] = [];
  #child: ChildProcess | undefined;
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();

  private constructor(floe: Installation) {
    this.#floe = floe;
  }

  /** Returns once every machine was seen. Begins anew by itself where the API server ends the watch. */
  static async start(floe: Installation): Promise<FleetWatch> {
    const watch = new FleetWatch(floe);
    watch.#loop = watch.#run();
    await waitUntil(async () => watch.#machines.size === floe.machineNames.length, {
      what: 'the watch to have seen every machine',
      timeoutSeconds: 20,
    });
    watch.forget();
    return watch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#child?.kill();
    await this.#loop;
  }

  /** Names of the machines that were being switched at once when they were most; never more than the budget. */
  get most(): readonly string[] {
    return this.#most;
  }

  /** Orders for `revision`, in the order in which they were given; the same one counts once. */
  told(revision: string): readonly Told[] {
    return [...this.#told.values()].filter(({ desired }) => desired.revision === revision && desired.go);
  }

  /** Names of those that were told `revision`. */
  names(revision: string): readonly string[] {
    return this.told(revision).map(({ machine }) => machine);
  }

  /** Names of those that are being switched now. */
  get switching(): readonly string[] {
    return [...this.#machines.values()].filter(isSwitching).map(({ metadata }) => metadata.name);
  }

  /** Forgets what was seen before. */
  forget(): void {
    this.#most = [];
    this.#told.clear();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const [program = '', ...args] = await this.#floe.cluster.kubectlCommand(['get', '--raw', PATH]);
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      this.#child = child;
      this.#fresh.clear();
      child.on('error', () => undefined);
      for await (const line of createInterface({ input: child.stdout })) this.#take(line);
      if (!this.#stopped) await sleep(200);
    }
  }

  #take(line: string): void {
    // The last line may be half, where the API server went away.
    if (!line.endsWith('}}')) return;
    const { type, object } = JSON.parse(line) as Event;
    if (object.kind !== 'NixMachine') return;
    const { name } = object.metadata;
    if (type === 'DELETED') this.#machines.delete(name);
    else this.#machines.set(name, object);
    const { desired } = object.status ?? {};
    if (desired !== undefined) {
      this.#told.set(`${name} ${desired.id} ${desired.sequence} ${desired.go}`, { machine: name, desired });
    }
    this.#fresh.add(name);
    if (this.#fresh.size < this.#machines.size) return;
    const { switching } = this;
    if (switching.length > this.#most.length) this.#most = switching;
  }
}

/** Whether the machine has its go and is not done, as its own status says. */
function isSwitching({ status }: NixMachine): boolean {
  const { desired, attempt, current } = status ?? {};
  if (desired?.go !== true) return false;
  if (attempt?.desiredId === desired.id) return !(FINAL_PHASES as readonly string[]).includes(attempt.phase);
  return current?.closure !== desired.closure;
}
