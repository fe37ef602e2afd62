// The git repositories of one cluster: folders are published, each publication is a commit.
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeAddress } from './control-plane.ts';
import { Daemon } from './daemon.ts';
import type { Enclosure } from './enclosure.ts';
import { recipe } from './paths.ts';
import { commitFolder, resetBranch } from './repository.ts';
import { run } from './run.ts';
import { type SshAccess, SshServer } from './ssh-server.ts';

const port = 8418;

export interface Published {
  /** Reached from pods: `http://10.250.0.1:8418/NAME.git`. */
  readonly url: string;
  /** 40 hex digits. */
  readonly commit: string;
}

export interface PublishOptions {
  /** Default `main`. */
  readonly branch?: string;
  readonly tag?: string;
  /** `user:password`, asked for from now on; empty for nobody. */
  readonly credentials?: string;
}

export class Sources {
  readonly #dir: string;
  readonly #server: Daemon;
  readonly #enclosure: Enclosure;
  readonly #ssh: SshServer;

  constructor(clusterDir: string, enclosure: Enclosure) {
    this.#dir = join(clusterDir, 'sources');
    this.#enclosure = enclosure;
    this.#ssh = new SshServer(clusterDir, this.#dir, enclosure);
    const command = [process.execPath, recipe('bed', 'git-server-main.ts'), this.#dir, nodeAddress, String(port)];
    this.#server = new Daemon({ name: 'git', dir: clusterDir, enclosure, command });
  }

  /** Commits the folder as it is to repository `name`, and serves it. Unchanged content is the commit there was. */
  async publish(name: string, folder: string, options: PublishOptions = {}): Promise<Published> {
    const repository = join(this.#dir, `${name}.git`);
    const commit = await commitFolder(repository, folder, options);
    if (options.credentials !== undefined) await this.#protect(repository, options.credentials);
    await this.#serve();
    return { url: `http://${nodeAddress}:${port}/${name}.git`, commit };
  }

  /** Has the branch `main` of a repository end in a commit that it had before; false where there is none. */
  goBack(name: string, commit: string): Promise<boolean> {
    return resetBranch(join(this.#dir, `${name}.git`), commit);
  }

  /** The same repositories over SSH; whoever has the key may read them all, whatever HTTP asks for. */
  overSsh(): Promise<SshAccess> {
    return this.#ssh.access();
  }

  async #protect(repository: string, credentials: string): Promise<void> {
    const file = join(repository, 'floe-credentials');
    if (credentials === '') return rm(file, { force: true });
    await writeFile(file, credentials);
    return chmod(file, 0o600);
  }

  async #serve(): Promise<void> {
    if (await this.#server.isRunning()) return;
    await this.#server.start();
    const script = `n=0; until curl -s -o /dev/null http://${nodeAddress}:${port}/; do n=$((n+1)); [ $n -lt 100 ]; sleep 0.05; done`;
    await run(await this.#enclosure.enter('network', ['sh', '-euc', script]));
  }
}
