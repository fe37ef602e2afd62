// Takes the machines out of the shared fleet into a config of their own, where each is told its closure when the scenario says so.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachineSpec } from '@floe/crds/nix-machine';
import type { Closures } from '../bed/machine.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { firstRevision } from './acts.ts';
import type { Installation } from './installation.ts';
import { condition, type Fleet, readFleet, waitForFleet } from './observe.ts';
import { Probe, RELOADS } from './probe.ts';
import { anotherCalmRevision, config } from './scene.ts';
import { isGood } from './settled.ts';

/** A scenario's module for each machine, in Nix. */
export type Modules = Readonly<Record<string, string>>;

/** What a machine was told, and what it was before. */
export interface Told {
  /** The closure that it is to run. */
  readonly closure: string;
  readonly before: Closures;
}

type Activation = NonNullable<NixMachineSpec['activation']>;

const API = 'floe.dev/v1alpha1';
const LABEL = 'scenario';

/** Activation of every machine that is told, where the scenario says nothing else. */
const ACTIVATION: Activation = {
  mode: 'switch',
  timeout: '60s',
  confirmTimeout: '30s',
  healthChecks: [{ name: 'hello', systemd: { units: ['hello.service'] }, timeout: '15s' }],
};

export class Apart {
  readonly #floe: Installation;
  readonly #name: string;
  /** Each machine's spec before the scenario. */
  readonly #specs: ReadonlyMap<string, NixMachineSpec>;

  private constructor(floe: Installation, name: string, specs: ReadonlyMap<string, NixMachineSpec>) {
    this.#floe = floe;
    this.#name = name;
    this.#specs = specs;
  }

  /** Moves all machines to a NixConfig `name` and returns when their closures are built; nobody is told one yet. */
  static async take(floe: Installation, name: string, modules: Modules): Promise<Apart> {
    const fleet = await goodFleet(floe);
    const specs = new Map(fleet.machines.map((machine) => [machine.metadata.name, machine.spec]));
    const apart = new Apart(floe, name, specs);
    const common = `{ services.hello.enable = true; services.hello.greeting = "Hello from ${name}"; }`;
    const { url } = await floe.publishBeside(name, modules, common);
    await apart.#moveTo(name);
    await floe.apply(
      {
        apiVersion: API,
        kind: 'NixConfig',
        metadata: { name },
        spec: { source: { git: { url, ref: { branch: 'main' } } } },
      },
      {
        apiVersion: API,
        kind: 'Rollout',
        metadata: { name },
        spec: {
          configRef: { name },
          selector: { matchLabels: { [LABEL]: name } },
          maxUnavailable: '100%',
          successThreshold: 0,
        },
      },
    );
    await waitForFleet(floe, `the closures of config ${name} to be built`, (seen) =>
      isBuilt(
        seen.configs.find((config) => config.metadata.name === name),
        floe.machineNames.length,
      ),
    );
    return apart;
  }

  async probe(machine: string): Promise<Probe> {
    return new Probe(this.#floe, await this.#floe.machine(machine));
  }

  /** Tells a machine its closure of the config, and returns when the order stands in its status. */
  async tell(machine: string, activation: Activation = {}): Promise<Told> {
    const probe = await this.probe(machine);
    const before = await probe.closures();
    await this.#patch(machine, {
      metadata: { labels: { [LABEL]: this.#name } },
      spec: { activation: { ...ACTIVATION, ...activation } },
    });
    const told = await probe.untilObject(
      `it is told revision of ${this.#name}`,
      ({ status }) => status?.desired?.rollout === this.#name && status.desired.go,
    );
    return { closure: told.status?.desired?.closure ?? '', before };
  }

  /** How the machine activates what it is told from now on. */
  async activation(machine: string, activation: Activation): Promise<void> {
    await this.#patch(machine, { spec: { activation: { ...ACTIVATION, ...activation } } });
  }

  /** Tells nobody anything more, or goes on. */
  async suspend(yes: boolean): Promise<void> {
    await this.#floe.patch(`rollouts/${this.#name}`, { spec: { suspend: yes } });
  }

  /** Everyone back in the shared fleet, on its revision, without faults; the config of the scenario is gone. */
  async giveBack(): Promise<void> {
    const { cluster, machineNames } = this.#floe;
    await cluster.network.clear();
    if (!(await cluster.daemon('apiserver').isRunning())) await cluster.startApiServer();
    for (const name of machineNames) {
      const { machine } = await this.probe(name);
      await machine.start();
      await machine.tryExec(['systemctl', 'stop', 'hold-lock.service', RELOADS]);
    }
    await this.#floe.kubectl('delete', 'rollouts.floe.dev', this.#name, '--ignore-not-found');
    await this.#moveTo('fleet');
    await untilGood(this.#floe);
    await this.#floe.kubectl('delete', 'nixconfig', this.#name, '--ignore-not-found');
  }

  async #moveTo(config: string): Promise<void> {
    await Promise.all(
      [...this.#specs].map(async ([name, spec]) => {
        // Not a merge: what a scenario has set beside it is to be gone.
        const patch = [
          { op: 'replace', path: '/spec', value: { ...spec, configRef: { name: config } } },
          { op: 'add', path: '/metadata/labels', value: {} },
        ];
        await this.#floe.patch(`nixmachines/${name}`, patch);
      }),
    );
  }

  async #patch(machine: string, patch: object): Promise<void> {
    await this.#floe.patch(`nixmachines/${machine}`, patch);
  }
}

function isBuilt(config: NixConfig | undefined, machines: number): boolean {
  return config?.status?.machines?.built === machines && condition(config, 'Ready')?.status === 'True';
}

/** Waits until everyone runs and boots the revision of the shared fleet; whoever waits for a reboot gets it. */
async function untilGood(floe: Installation, revision?: string): Promise<Fleet> {
  const restarted = new Set<string>();
  return waitUntil(
    async () => {
      const fleet = await readFleet(floe);
      for (const { metadata, status } of fleet.machines) {
        const waits = status?.attempt?.phase === 'RebootRequired' && status.attempt.desiredId === status.desired?.id;
        if (!waits || restarted.has(metadata.name)) continue;
        restarted.add(metadata.name);
        await (await floe.machine(metadata.name)).restart();
      }
      return isGood(fleet, floe.machineNames.length, revision) ? fleet : undefined;
    },
    {
      what: 'every machine to run the revision of the fleet',
      everySeconds: 0.5,
      timeoutSeconds: 180,
      explain: () => floe.kubectl('get', 'nixconfigs,nixmachines,rollouts.floe.dev'),
    },
  );
}

/** The shared fleet with everyone on a good revision; made where an earlier scenario left none. */
export async function goodFleet(floe: Installation): Promise<Fleet> {
  const found = await readFleet(floe);
  if (isGood(found, floe.machineNames.length)) return found;
  if (found.machines.length === 0) {
    await firstRevision({ floe, say: () => undefined });
    await floe.apply(config());
    return untilGood(floe);
  }
  // A new revision also for whoever was left on something else, and after a run that has failed. Waited for by its name:
  // the one before may be good on everyone a moment after it was not.
  return untilGood(floe, await anotherCalmRevision(floe));
}
