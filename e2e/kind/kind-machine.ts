// A machine of the demo in kind: a privileged container whose PID 1 is systemd.
import { run, tryRun } from '../bed/run.ts';
import { waitUntil } from '../bed/wait-until.ts';
import type { SiteMachine } from '../src/site.ts';
import { containerOf } from './docker.ts';

export class KindMachine implements SiteMachine {
  readonly #container: string;

  constructor(name: string) {
    this.#container = containerOf(name);
  }

  /** Boots; returns when systemd has started everything, well or not. */
  async start(): Promise<void> {
    await run(['docker', 'start', this.#container]);
    const ask = [...this.#enter, 'systemctl', 'is-system-running', '--wait'];
    await waitUntil(async () => /running|degraded/.test((await tryRun(ask)).stdout), {
      what: `${this.#container} to boot`,
      everySeconds: 0.5,
      explain: () => run(['docker', 'logs', '--tail', '20', this.#container]),
    });
  }

  async sshHostKey(): Promise<string> {
    const text = await run([...this.#enter, 'cat', '/etc/ssh/ssh_host_ed25519_key.pub']);
    return text.trim().split(' ').slice(0, 2).join(' ');
  }

  async closures(): Promise<{ readonly current: string }> {
    return { current: (await run([...this.#enter, 'readlink', '/run/current-system'])).trim() };
  }

  get #enter(): readonly string[] {
    return ['docker', 'exec', this.#container];
  }
}
