// The machines of one cluster: made from one tree, each with the first system that an admin would have installed.
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inBuildStore } from './build-store.ts';
import { nodeAddress } from './control-plane.ts';
import type { Enclosure } from './enclosure.ts';
import { Machine } from './machine.ts';
import { NETWORK_FILE, networkFile } from './machine-network.ts';
import { run } from './run.ts';

export interface MachinesOptions {
  /** The cluster's folder. */
  readonly dir: string;
  readonly cgroup: string;
  readonly tree: string;
  readonly enclosure: Enclosure;
}

export interface NewMachine {
  /** At most 11 lower-case letters, digits and `-`: the name of its network device must fit. */
  readonly name: string;
  /** The toplevel in the test bed's store that it boots first; see `Fleet.build`. */
  readonly system: string;
  /** More names for /etc/hosts: name -> address. Services are found by the cluster's name server. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** More files: absolute path -> text. */
  readonly files?: Readonly<Record<string, string>>;
}

export class Machines {
  readonly #options: MachinesOptions;

  constructor(options: MachinesOptions) {
    this.#options = options;
  }

  /** Makes a machine that is off; `start` boots it. About 1 s. */
  async create(wanted: NewMachine): Promise<Machine> {
    if (!/^[a-z0-9][a-z0-9-]{0,10}$/.test(wanted.name)) {
      throw new Error(`machine name "${wanted.name}": use 1 to 11 lower-case letters, digits and "-"`);
    }
    const address = await this.#nextAddress();
    const machine = this.#machine(wanted.name, address);
    await mkdir(join(machine.dir, 'upper'), { recursive: true });
    await mkdir(join(machine.dir, 'work'));
    await writeFile(join(machine.dir, 'address'), address);
    await writeFiles(machine, {
      [NETWORK_FILE]: networkFile(address),
      '/etc/resolv.conf': `nameserver ${nodeAddress}\nsearch cluster.local\noptions timeout:2 attempts:2\n`,
      '/etc/hosts': hosts({ localhost: '127.0.0.1', [wanted.name]: address, ...wanted.hosts }),
      ...wanted.files,
    });
    await mkdir(machine.onDisk('/etc/ssh'), { recursive: true });
    const key = machine.onDisk('/etc/ssh/ssh_host_ed25519_key');
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', `root@${wanted.name}`, '-f', key]);
    await install(machine, wanted.system);
    return machine;
  }

  /** Copies a closure of the test bed's store into a machine's, unsigned, as an admin with root could; it may run meanwhile. */
  async addClosure(machine: Machine, system: string): Promise<void> {
    if (!(await machine.isRunning())) {
      const binds = { '/machine': machine.onDisk('/') };
      await inBuildStore(['nix', 'copy', '--no-check-sigs', '--to', '/machine', system], { binds });
      return;
    }
    const folder = join(machine.dir, `closure-${process.pid}`);
    try {
      await mkdir(folder, { recursive: true });
      const script = 'nix-store --export $(nix-store --query --requisites "$0") > /export/closure';
      await inBuildStore(['sh', '-euc', script, system], { binds: { '/export': folder } });
      await machine.exec(['nix-store', '--import'], { inputFile: join(folder, 'closure') });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** The machine of that name, running or not. Throws where there is none. */
  async get(name: string): Promise<Machine> {
    const address = await readFile(join(this.#options.dir, 'machines', name, 'address'), 'utf8').catch(() => undefined);
    if (address === undefined) throw new Error(`there is no machine ${name}`);
    return this.#machine(name, address);
  }

  async list(): Promise<readonly Machine[]> {
    const names = await readdir(join(this.#options.dir, 'machines')).catch(() => []);
    return Promise.all(names.sort().map((name) => this.get(name)));
  }

  #machine(name: string, address: string): Machine {
    const { dir, cgroup, tree, enclosure } = this.#options;
    return new Machine({ name, address, clusterDir: dir, cgroup: `${cgroup}/machine-${name}`, tree, enclosure });
  }

  /** An address that nobody has: whoever makes its folder first owns it, in whichever process. */
  async #nextAddress(): Promise<string> {
    const folder = join(this.#options.dir, 'addresses');
    await mkdir(folder, { recursive: true });
    for (let number = 11; number < 250; number += 1) {
      const address = `10.250.0.${number}`;
      const won = await mkdir(join(folder, address)).then(
        () => true,
        () => false,
      );
      if (won) return address;
    }
    throw new Error('no address is left for another machine; delete some');
  }
}

function hosts(names: Readonly<Record<string, string>>): string {
  return Object.entries(names)
    .map(([name, address]) => `${address} ${name}\n`)
    .join('');
}

async function writeFiles(machine: Machine, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(machine.onDisk(path), '..'), { recursive: true });
    await writeFile(machine.onDisk(path), text);
  }
}

/** As nixos-install does: the closure into its store, the profile, the boot entry. */
async function install(machine: Machine, system: string): Promise<void> {
  const profiles = machine.onDisk('/nix/var/nix/profiles');
  await mkdir(profiles, { recursive: true });
  await symlink(system, join(profiles, 'system-1-link'));
  await symlink('system-1-link', join(profiles, 'system'));
  const script = `nix copy --no-check-sigs --to /machine "$0"
    FLOE_ROOT=/machine "$0/bin/install-boot-loader" "$0"`;
  await inBuildStore(['sh', '-euc', script, system], { binds: { '/machine': join(machine.dir, 'upper') } });
}
