// Asks every replica again and again whether it leads, while a scenario ends them: never do two say yes at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { tryRun } from '../bed/run.ts';
import type { Installation } from './installation.ts';
import type { OperatorPods, Pod } from './operator-pods.ts';

const ASK =
  'for a in "$@"; do echo "$a $(curl -s -m 1 "http://$a:9090/metrics" | grep ^leader_election_master_status)"; done';

export class LeaderWatch implements AsyncDisposable {
  readonly #floe: Installation;
  readonly #pods: OperatorPods;
  readonly #led = new Set<string>();
  readonly #together: string[] = [];
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
    // Everyone is asked twice, in turn: who says yes both times led when the one between said so.
    const addresses = pods.map(({ address }) => address);
    const command = await this.#floe.cluster.enter(['sh', '-c', ASK, 'sh', ...addresses, ...addresses]);
    const lines = (await tryRun(command, { timeoutSeconds: 20 })).stdout.split('\n');
    const leaders = pods.filter(
      ({ address }) => lines.filter((line) => line.startsWith(`${address} `) && line.endsWith(' 1')).length === 2,
    );
    this.#samples += 1;
    for (const { name } of leaders) this.#led.add(name);
    if (leaders.length > 1) this.#together.push(leaders.map(({ name }) => name).join(' and '));
  }
}
