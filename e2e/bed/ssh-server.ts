// An SSH server in a cluster's network that serves the git repositories of the bed to whoever has its one key, for reading.
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeAddress } from './control-plane.ts';
import { Daemon } from './daemon.ts';
import type { Enclosure } from './enclosure.ts';
import { ensurePackages } from './ensure-host.ts';
import { run } from './run.ts';

const port = 2222;

/** What a Secret for `ssh://` holds, and where it leads. */
export interface SshAccess {
  /** `ssh://git@10.250.0.1:2222/NAME.git`. */
  readonly url: (name: string) => string;
  /** The private key that it lets in. */
  readonly identity: string;
  /** Its host key, as a line of known_hosts. */
  readonly knownHosts: string;
}

export class SshServer {
  readonly #dir: string;
  readonly #repositories: string;
  readonly #enclosure: Enclosure;
  readonly #server: Daemon;

  constructor(clusterDir: string, repositories: string, enclosure: Enclosure) {
    this.#dir = join(clusterDir, 'ssh');
    this.#repositories = repositories;
    this.#enclosure = enclosure;
    const command = ['unshare', '--mount', 'sh', '-euc', START, 'sshd', this.#dir];
    this.#server = new Daemon({ name: 'sshd', dir: clusterDir, enclosure, command });
  }

  /** Starts it where it does not run; its keys stay the same as long as the cluster's folder does. */
  async access(): Promise<SshAccess> {
    await ensurePackages({}, 'ssh');
    await this.#prepare();
    if (!(await this.#server.isRunning())) {
      await this.#server.start();
      const script = `n=0; until ssh-keyscan -p ${port} ${nodeAddress} 2>/dev/null | grep -q .; do n=$((n+1)); [ $n -lt 100 ]; sleep 0.05; done`;
      await run(await this.#enclosure.enter('network', ['sh', '-euc', script]));
    }
    const host = (await readFile(join(this.#dir, 'host_key.pub'), 'utf8')).trim();
    return {
      url: (name) => `ssh://git@${nodeAddress}:${port}/${name}.git`,
      identity: await readFile(join(this.#dir, 'git_key'), 'utf8'),
      knownHosts: `[${nodeAddress}]:${port} ${host}\n`,
    };
  }

  async #prepare(): Promise<void> {
    const file = (name: string): string => join(this.#dir, name);
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    for (const name of ['host_key', 'git_key']) {
      if (!existsSync(file(name))) await makeSshKey(file(name));
    }
    const options = `restrict,command="${file('serve')}"`;
    await writeFile(file('authorized_keys'), `${options} ${await readFile(file('git_key.pub'), 'utf8')}`);
    // Users of its own, so that nothing depends on those of the host: root's may be locked, which sshd minds.
    await writeFile(
      file('passwd'),
      `root:x:0:0::/:/bin/sh\ngit:x:0:0::/:/bin/sh\nsshd:x:74:74::/run/sshd:/bin/false\nnobody:x:65534:65534::/:/bin/false\n`,
    );
    await writeFile(file('shadow'), 'root:*:1::::::\ngit:*:1::::::\n', { mode: 0o600 });
    await writeFile(file('serve'), serve(this.#repositories));
    await chmod(file('serve'), 0o755);
    await writeFile(file('sshd_config'), config(this.#dir));
  }
}

/** Makes an OpenSSH key pair without a passphrase, `FILE` and `FILE.pub`. */
export async function makeSshKey(file: string): Promise<void> {
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'test bed', '-f', file]);
}

/** Debian's defaults otherwise: it passes no GIT_PROTOCOL on, so git speaks its oldest protocol. */
function config(dir: string): string {
  return `${[
    `ListenAddress ${nodeAddress}:${port}`,
    `HostKey ${dir}/host_key`,
    `AuthorizedKeysFile ${dir}/authorized_keys`,
    'PermitRootLogin forced-commands-only',
    'AuthenticationMethods publickey',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'StrictModes no',
    'PidFile none',
  ].join('\n')}\n`;
}

/** Reads only, and only repositories of the bed, whose names are \`[a-z0-9-]+.git\`. */
function serve(repositories: string): string {
  return `#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
  "git-upload-pack '/"*.git"'") name=\${SSH_ORIGINAL_COMMAND#"git-upload-pack '/"}; name=\${name%"'"} ;;
  *) echo "only git-upload-pack is served here" >&2; exit 1 ;;
esac
case "$name" in *[!a-z0-9.-]*) echo "no such repository" >&2; exit 1 ;; esac
exec git -c safe.directory='*' upload-pack --strict '${repositories}'/"$name"
`;
}

const START = `mount --bind "$1/passwd" /etc/passwd
[ ! -e /etc/shadow ] || mount --bind "$1/shadow" /etc/shadow
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"`;
