// Asks every replica again and again whether it leads, while a scenario ends them: never do two say yes at once.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Installation } from './installation.ts';
import type { OperatorPods, Pod } from './operator-pods.ts';

const METRICS_PORT = 9090;
const LIMIT_MS = 1000;

export class LeaderWatch implements AsyncDisposable {
  readonly #floe: Installation;
  readonly #pods: OperatorPods;
  readonly #led = new Set<string>();
  readonly #together: string[] = [];
  /** Port of the host that leads to each pod, by its address. */
  readonly #ports = new Map<string, Promise<number>>();
  #samples = 0;
  #stopped = false;
  readonly #loop: Promise<void>;

  private constructor(floe: Installation, pods: OperatorPods) {
    this.#floe = floe;
    this.#pods = pods;
    this.#loop = this.#run();
  }

  static start(floe: Installation, pods: OperatorPods): LeaderWatch {
    return new LeaderWatch(floe, pods);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  /** Answers so far. */
  get samples(): number {
    return this.#samples;
  }

  /** Pods that said at some time that they lead. */
  get led(): ReadonlySet<string> {
    return this.#led;
  }

  /** Pods that led at the same time; empty where all is well. */
  get together(): readonly string[] {
    return this.#together;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const pods = await this.#pods.list().catch(() => []);
      // The list is good for some rounds; it is dearer than the question.
      for (let round = 0; round < 5 && !this.#stopped; round++) {
        await this.#look(pods.filter(({ address }) => address !== ''));
        await sleep(250);
      }
    }
  }

  async #look(pods: readonly Pod[]): Promise<void> {
    // Who says yes is asked once more after all others: who says it both times led when the one between said so.
    const leaders = await this.#leaders(await this.#leaders(pods));
    this.#samples += 1;
    for (const { name } of leaders) this.#led.add(name);
    if (leaders.length > 1) this.#together.push(leaders.map(({ name }) => name).join(' and '));
  }

  /** Those that say so, each asked when the one before has answered. */
  async #leaders(pods: readonly Pod[]): Promise<readonly Pod[]> {
    const leaders: Pod[] = [];
    for (const pod of pods) if (await this.#leads(pod.address).catch(() => false)) leaders.push(pod);
    return leaders;
  }

  async #leads(address: string): Promise<boolean> {
    const port = this.#ports.get(address) ?? this.#floe.cluster.forwards.open(address, METRICS_PORT);
    this.#ports.set(address, port);
    const answer = await fetch(`http://127.0.0.1:${await port}/metrics`, { signal: AbortSignal.timeout(LIMIT_MS) });
    return /^leader_election_master_status\S* 1$/m.test(await answer.text());
  }
}
