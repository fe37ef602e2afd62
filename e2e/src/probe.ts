// One machine under a scenario's hands: what it says itself, what the API says of it, and faults that hit it alone.
import { readFile } from 'node:fs/promises';
import type { AttemptRecord } from '@floe/agent/attempt/record';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Closures, Machine } from '../bed/machine.ts';
import type { NetworkFault } from '../bed/network-fault.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { type Installation, SYSTEM } from './installation.ts';

/** Takes one fault back. */
type Undo = () => Promise<void>;

const LOCK = '/run/nixos/switch-to-configuration.lock';
/** Reloads systemd all the time. */
export const RELOADS = 'keep-reloading.service';

export class Probe {
  readonly machine: Machine;
  readonly #floe: Installation;

  constructor(floe: Installation, machine: Machine) {
    this.#floe = floe;
    this.machine = machine;
  }

  get name(): string {
    return this.machine.name;
  }

  closures(): Promise<Closures> {
    return this.machine.closures();
  }

  /** The machine as the API has it. */
  async object(): Promise<NixMachine> {
    return (await this.#floe.get(`nixmachines/${this.name}`)) as NixMachine;
  }

  /** Waits until the API says so of the machine, and returns what it says. */
  async untilObject(
    what: string,
    done: (machine: NixMachine) => boolean,
    options: { readonly timeoutSeconds?: number } = {},
  ): Promise<NixMachine> {
    let last: NixMachine | undefined;
    await waitUntil(
      async () => {
        last = await this.object();
        return done(last);
      },
      {
        what: `the API to say of ${this.name}: ${what}`,
        everySeconds: 0.3,
        timeoutSeconds: options.timeoutSeconds ?? 120,
        explain: async () => JSON.stringify(last?.status, undefined, 1),
      },
    );
    return last as unknown as NixMachine;
  }

  /** Waits until the API says that the attempt that brings `closure` has ended so, and returns the machine. */
  untilEnded(closure: string, phase: string, options: { readonly timeoutSeconds?: number } = {}): Promise<NixMachine> {
    const ended = ({ status }: NixMachine): boolean =>
      status?.attempt?.to === closure && status.attempt.phase === phase && status.attempt.finishedAt !== undefined;
    return this.untilObject(`the attempt to end ${phase}`, ended, options);
  }

  /** The attempt in the agent's journal, read from the disk: also while the machine is off. */
  async attempt(): Promise<AttemptRecord | undefined> {
    const text = await readFile(this.machine.onDisk('/var/lib/floe-agent/journal'), 'utf8').catch(() => '');
    const body = text.slice(text.indexOf('\n') + 1);
    return body === '' ? undefined : (JSON.parse(body) as { attempt?: AttemptRecord }).attempt;
  }

  /** Waits until the journal says so of the attempt that brings `closure`. */
  async untilAttempt(
    closure: string,
    what: string,
    done: (attempt: AttemptRecord) => boolean,
    options: { readonly timeoutSeconds?: number } = {},
  ): Promise<AttemptRecord> {
    return waitUntil(
      async () => {
        const attempt = await this.attempt();
        return attempt?.order.closure === closure && done(attempt) ? attempt : undefined;
      },
      {
        what: `the journal of ${this.name} to say: ${what}`,
        everySeconds: 0.02,
        timeoutSeconds: options.timeoutSeconds ?? 120,
        explain: async () =>
          `${JSON.stringify(await this.attempt())}\n${await this.machine.sh('journalctl -u floe-agent -n 15 --no-pager -o cat').catch(() => 'it is off')}`,
      },
    );
  }

  /** Kills the agent and everything it started in its unit, and returns what its journal says then. */
  async killAgent(): Promise<AttemptRecord | undefined> {
    const pid = await this.agentPid();
    if (pid === '0') throw new Error(`no agent runs on ${this.name}`);
    await this.machine.exec(['systemctl', 'kill', '--signal=SIGKILL', 'floe-agent.service']);
    const attempt = await this.attempt();
    await waitUntil(async () => (await this.agentPid()) !== pid, { what: `the agent of ${this.name} to be gone` });
    return attempt;
  }

  async agentPid(): Promise<string> {
    return (await this.machine.exec(['systemctl', 'show', '--value', '--property=MainPID', 'floe-agent'])).trim();
  }

  /** `active`, `failed`, …, as systemd on the machine says. */
  async unitState(unit: string): Promise<string> {
    return (await this.machine.tryExec(['systemctl', 'is-active', unit])).stdout.trim();
  }

  /** Timers that would still undo something. */
  async armedTimers(): Promise<string> {
    return (await this.machine.exec(['systemctl', 'list-units', '--all', '--no-legend', 'floe-rescue-*.timer'])).trim();
  }

  /** Takes the lock of switch-to-configuration, as another person's `nixos-rebuild` does: nobody else may switch. */
  async holdSwitchLock(): Promise<Undo> {
    const hold = ['flock', '--exclusive', LOCK, 'sh', '-c', 'touch /run/lock-is-held; exec sleep infinity'];
    await this.machine.sh('rm -f /run/lock-is-held; mkdir -p /run/nixos');
    await this.machine.exec(['systemd-run', '--quiet', '--collect', '--unit=hold-lock', '--', ...hold]);
    await this.machine.sh('for i in $(seq 200); do [ -e /run/lock-is-held ] && exit 0; sleep 0.05; done; exit 1');
    return async () => {
      await this.machine.exec(['systemctl', 'stop', 'hold-lock.service']);
    };
  }

  /** Has systemd read its units again each second, as no machine does and as any may: no timer may count on none. */
  async keepReloading(): Promise<Undo> {
    const loop = ['sh', '-c', 'while sleep 1; do systemctl daemon-reload; done'];
    await this.machine.exec(['systemd-run', '--quiet', '--collect', `--unit=${RELOADS}`, '--', ...loop]);
    return async () => {
      if ((await this.unitState(RELOADS)) !== 'active') throw new Error(`${RELOADS} has ended by itself`);
      await this.machine.exec(['systemctl', 'stop', RELOADS]);
    };
  }

  /** Cuts the machine off from a Service of Floe's: packets vanish, as when a cable is cut. */
  async cutOff(service: 'floe-hub' | 'floe-cache' = 'floe-hub'): Promise<NetworkFault> {
    const { cluster } = this.#floe;
    const to = await cluster.kubectl(['-n', SYSTEM, 'get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}']);
    return cluster.network.block({ from: this.machine.address, to });
  }
}
