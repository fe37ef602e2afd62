// Orders a new closure on one machine, as whoever holds the cluster can: nothing else is told it, and nobody tells it again.
import type { NixMachineSpec } from '@floe/crds/nix-machine';
import type { Closures } from '../bed/machine.ts';
import type { Apart } from './apart.ts';
import { Forgery } from './forgery.ts';
import type { Installation } from './installation.ts';
import type { Probe } from './probe.ts';
import { freshMarker } from './scene.ts';

type Activation = NonNullable<NixMachineSpec['activation']>;

interface Ordered {
  readonly probe: Probe;
  readonly closure: string;
  readonly before: Closures;
}

export class ByHand {
  readonly #floe: Installation;
  readonly #apart: Apart;
  readonly #forgery: Forgery;

  private constructor(floe: Installation, apart: Apart, forgery: Forgery) {
    this.#floe = floe;
    this.#apart = apart;
    this.#forgery = forgery;
  }

  /** Closures come from a flake of that name, in which every machine has `common`. */
  static async begin(floe: Installation, apart: Apart, name: string, common: string): Promise<ByHand> {
    await floe.publishBeside(name, {}, common);
    return new ByHand(floe, apart, new Forgery(floe, name));
  }

  /** Builds it with `module`, puts it into the machine's store, signed, and orders it. */
  async order(machine: string, module: string, activation: Activation = {}): Promise<Ordered> {
    const probe = await this.#apart.probe(machine);
    const closure = await this.#forgery.build(machine, freshMarker(), module);
    await this.#forgery.plant(probe.machine, closure, this.#floe.key.secret);
    const before = await probe.closures();
    await this.#apart.activation(machine, activation);
    await this.#forgery.order(probe, closure);
    return { probe, closure, before };
  }
}
