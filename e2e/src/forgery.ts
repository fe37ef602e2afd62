// What somebody does who wants a machine to run what nobody has signed: orders, signatures and uploads by hand.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inBuildStore } from '../bed/build-store.ts';
import { Fleet } from '../bed/fleet.ts';
import type { Machine } from '../bed/machine.ts';
import { type Installation, NAMESPACE, SYSTEM } from './installation.ts';
import type { Probe } from './probe.ts';

/** A NAR and its narinfo, as a binary cache has them. */
export interface Packed {
  /** `<hash>.narinfo`. */
  readonly name: string;
  readonly narinfo: string;
  /** `nar/<hash>.nar.zst`. */
  readonly narName: string;
  readonly nar: Buffer;
}

export class Forgery {
  readonly #floe: Installation;
  readonly #fleet: Fleet;
  readonly #rollout: string;
  readonly #dir: string;

  /** `repository` is one that `publishBeside` has written, and names the Rollout that the orders pretend to be of. */
  constructor(floe: Installation, repository: string) {
    this.#floe = floe;
    this.#rollout = repository;
    this.#fleet = new Fleet(join(floe.cluster.dir, `fleet-${repository}`));
    this.#dir = join(floe.cluster.dir, 'forgery');
  }

  /** A closure for the machine that no cache has; its toplevel is new, everything else but what `module` says the machine may have. */
  build(machine: string, marker: string, module = '{ }'): Promise<string> {
    return this.#fleet.build(machine, [`{ test.marker = "${marker}"; }`, module]);
  }

  /** Puts it into the machine's own store, as root there could; signed by that key, or by nobody. */
  async plant(machine: Machine, closure: string, secret?: string): Promise<void> {
    await this.#floe.cluster.machines.addClosure(machine, closure);
    if (secret === undefined) return;
    await machine.exec(['sh', '-euc', 'cat > /root/key'], { input: secret });
    await machine.exec(['nix', 'store', 'sign', '--key-file', '/root/key', '--recursive', closure]);
    await machine.exec(['rm', '/root/key']);
  }

  /** Packs the closure's toplevel alone, signed by that key. */
  async pack(closure: string, secret: string): Promise<Packed> {
    const dir = join(this.#dir, randomBytes(4).toString('hex'));
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'key'), secret);
    const to = 'file:///forgery/cache?compression=zstd&secret-key=/forgery/key';
    await inBuildStore(['nix', 'copy', '--to', to, closure], { binds: { '/forgery': dir } });
    const hash = closure.slice('/nix/store/'.length).split('-', 1)[0] ?? '';
    const narinfo = await readFile(join(dir, 'cache', `${hash}.narinfo`), 'utf8');
    const narName = /^URL: (.*)$/m.exec(narinfo)?.[1] ?? '';
    const nar = await readFile(join(dir, 'cache', narName));
    await rm(dir, { recursive: true, force: true });
    return { name: `${hash}.narinfo`, narinfo, narName, nar };
  }

  /** Uploads it with a token of the namespace: the cache itself asks for no signature. */
  async upload({ name, narinfo, narName, nar }: Packed): Promise<void> {
    const { cluster } = this.#floe;
    const token = await this.#floe.kubectl('create', 'token', 'default', '--audience=floe-cache');
    const address = await cluster.kubectl([
      '-n',
      SYSTEM,
      'get',
      'service',
      'floe-cache',
      '-o',
      'jsonpath={.spec.clusterIP}',
    ]);
    const port = await cluster.forwards.open(address, 8080);
    for (const [path, body] of [
      [narName, nar],
      [name, narinfo],
    ] as const) {
      const answer = await fetch(`http://127.0.0.1:${port}/${NAMESPACE}/${path}`, {
        method: 'PUT',
        // The next one may come when the cache has just closed an idle connection.
        headers: { authorization: `Bearer ${token.trim()}`, connection: 'close' },
        body,
      });
      if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
    }
  }

  /** Orders a closure, as whoever holds the cluster can: the hub passes it on. Returns the id of the order. */
  async order(probe: Probe, closure: string): Promise<string> {
    const before = (await probe.object()).status?.desired;
    const id = randomBytes(8).toString('hex');
    const desired = {
      id,
      sequence: Math.max((before?.sequence ?? 0) + 1, Math.floor(Date.now() / 1000)),
      revision: randomBytes(6).toString('hex'),
      closure,
      rollout: this.#rollout,
      run: null,
      reason: 'Rollout',
      go: true,
      since: new Date().toISOString(),
    };
    const patch = JSON.stringify({ status: { desired } });
    await this.#floe.kubectl('patch', 'nixmachine', probe.name, '--subresource=status', '--type=merge', '-p', patch);
    return id;
  }
}
