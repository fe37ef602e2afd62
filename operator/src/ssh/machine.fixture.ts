// A machine in a folder behind a real SSH server on loopback: the scripts run in a real shell, systemd and Nix are stubs.
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import type { Address } from './connection.ts';

const SYSTEMD_RUN = `#!/bin/sh
unit=run-$$ timer= scope=
while [ $# -gt 0 ]; do
  case "$1" in
    --unit=*) unit=\${1#--unit=} ;;
    --on-*) timer=$1 ;;
    --scope) scope=yes ;;
    --) shift; break ;;
  esac
  shift
done
if [ -n "$scope" ]; then exec "$@"
elif [ -n "$timer" ]; then
  { echo "# $timer"; printf 'exec'; for one in "$@"; do printf " '%s'" "$one"; done; echo; } > "$FLOE_ROOT/units/$unit.timer"
else
  touch "$FLOE_ROOT/units/$unit.service"
  setsid sh -c '"$@"; rm -f "$0"' "$FLOE_ROOT/units/$unit.service" "$@" > /dev/null 2>&1 < /dev/null &
fi
`;
const SYSTEMCTL = `#!/bin/sh
verb=$1
shift
[ "$1" != --quiet ] || shift
case "$verb" in
  is-active) [ -e "$FLOE_ROOT/units/$1" ] && echo active || { echo inactive; exit 3; } ;;
  stop) rm -f "$FLOE_ROOT/units/$1" ;;
  show)
    case "$*" in
      *UserspaceTimestampMonotonic*) cat "$FLOE_ROOT/systemd-started" 2>/dev/null || echo 5000000 ;;
      *ActiveEnterTimestampMonotonic*clock.scope) echo 65000000 ;;
    esac ;;
  list-units) cat "$FLOE_ROOT/failed" 2>/dev/null || true ;;
esac
`;
const NIX_ENV = `#!/bin/sh
profile=$2
case "$3" in
  --set)
    [ "$(readlink -f "$profile")" != "$FLOE_ROOT$4" ] || exit 0
    n=1
    while [ -L "$profile-$n-link" ]; do n=$((n + 1)); done
    ln -s "$FLOE_ROOT$4" "$profile-$n-link" && ln -sfn "$profile-$n-link" "$profile" ;;
  --switch-generation) ln -sfn "$profile-$4-link" "$profile" ;;
esac
`;
const NIX = `#!/bin/sh
case "$*" in
  *' verify '*) [ ! -e "$FLOE_ROOT/unsigned" ] || { echo "path is untrusted" >&2; exit 2; } ;;
  *path-info*) echo "path sig" ;;
esac
`;
const SWITCH = `#!/bin/sh
self=$(dirname "$(dirname "$0")")
echo "$1 \${self##*/}" >> "$FLOE_ROOT/switched"
case "$1" in
  boot) exit 0 ;;
esac
[ ! -e "$self/seconds" ] || sleep "$(cat "$self/seconds")"
ln -sfn "$self" "$FLOE_ROOT/run/current-system"
cat "$self/says" 2>/dev/null
exit $(cat "$self/exit-code" 2>/dev/null || echo 0)
`;

/** Store path of a closure of the test. */
export const closure = (name: string) => `/nix/store/${'0'.repeat(32)}-${name}`;

export class LoopbackMachine {
  readonly root: string;
  readonly address: Address;
  readonly #server: ssh2.Server;
  readonly #sockets: Set<Socket>;
  readonly #close: () => Promise<void>;

  private constructor(parts: {
    root: string;
    address: Address;
    server: ssh2.Server;
    sockets: Set<Socket>;
    close: () => Promise<void>;
  }) {
    this.root = parts.root;
    this.address = parts.address;
    this.#server = parts.server;
    this.#sockets = parts.sockets;
    this.#close = parts.close;
  }

  /** A machine that runs the closure `old` and has the others in its store. */
  static async start(others: readonly string[] = ['new']): Promise<LoopbackMachine> {
    const root = await mkdtemp(join(tmpdir(), 'floe-ssh-'));
    for (const folder of ['bin', 'units', 'run', 'nix/var/nix/profiles'])
      await mkdir(join(root, folder), { recursive: true });
    const programs = {
      'systemd-run': SYSTEMD_RUN,
      systemctl: SYSTEMCTL,
      'nix-env': NIX_ENV,
      nix: NIX,
      'nix-store': '#!/bin/sh\n',
    };
    for (const [name, text] of Object.entries(programs)) await program(join(root, 'bin', name), text);
    for (const name of ['old', ...others]) {
      await mkdir(join(root, closure(name), 'bin'), { recursive: true });
      await program(join(root, closure(name), 'bin/switch-to-configuration'), SWITCH);
    }
    for (const link of ['run/current-system', 'run/booted-system', 'nix/var/nix/profiles/system-1-link']) {
      await symlink(join(root, closure('old')), join(root, link));
    }
    await symlink(join(root, 'nix/var/nix/profiles/system-1-link'), join(root, 'nix/var/nix/profiles/system'));
    const host = keyPair();
    const login = keyPair();
    const env = { ...process.env, FLOE_ROOT: root, PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}` };
    const sockets = new Set<Socket>();
    const server = new ssh2.Server({ hostKeys: [host.private] }, (client) => serve(client, login.public, env));
    const listener = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
      server.injectSocket(socket);
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const hostKey = host.public.split(' ')[1] ?? '';
    const address: Address = { host: '127.0.0.1', port, user: 'root', hostKey, privateKey: login.private };
    const close = () => new Promise<void>((resolve) => listener.close(() => resolve()));
    return new LoopbackMachine({ root, address, server, sockets, close });
  }

  /** Ends all connections at once, as a network that goes away. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets all timers that are armed go off. Returns how many. */
  async fire(): Promise<number> {
    const timers = (await readdir(join(this.root, 'units'))).filter((name) => name.endsWith('.timer'));
    const env = {
      ...process.env,
      FLOE_ROOT: this.root,
      PATH: `${join(this.root, 'bin')}:${process.env['PATH'] ?? ''}`,
    };
    for (const timer of timers) {
      // Not spawnSync: the machine's SSH server is in this process.
      const child = spawn('/bin/sh', [join(this.root, 'units', timer)], { env, stdio: 'ignore' });
      await new Promise((resolve) => child.once('close', resolve));
      await rm(join(this.root, 'units', timer), { force: true });
    }
    return timers.length;
  }

  /** The timers that are armed: their option in a comment, and what they run. */
  async timers(): Promise<string[]> {
    const units = (await readdir(join(this.root, 'units'))).filter((name) => name.endsWith('.timer'));
    return Promise.all(units.map((unit) => this.read(join('units', unit))));
  }

  /** What runs, what the profile names, and the timers that are armed. */
  async state(): Promise<{ current: string; profile: string; timers: number }> {
    const profile = await readlink(join(this.root, 'nix/var/nix/profiles/system'));
    const timers = (await readdir(join(this.root, 'units'))).filter((name) => name.endsWith('.timer')).length;
    const name = (path: string) => path.slice(path.lastIndexOf('-') + 1);
    return {
      current: name(await readlink(join(this.root, 'run/current-system'))),
      profile: name(await readlink(profile)),
      timers,
    };
  }

  /** A file of the machine; empty where there is none. */
  async read(path: string): Promise<string> {
    return readFile(join(this.root, path), 'utf8').catch(() => '');
  }

  async write(path: string, text: string): Promise<void> {
    await writeFile(join(this.root, path), text);
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await this.#close();
    await rm(this.root, { recursive: true, force: true });
  }
}

/** ssh2 drops a zero that a key begins with: such a pair, one of a hundred, is one that nobody can read. */
function keyPair(): { private: string; public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}

async function program(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

function serve(client: ssh2.Connection, allowed: string, env: NodeJS.ProcessEnv): void {
  const known = ssh2.utils.parseKey(allowed);
  client.on('error', () => undefined);
  client.on('authentication', (context) => {
    if (context.method !== 'publickey' || known instanceof Error || !context.key.data.equals(known.getPublicSSH())) {
      context.reject(['publickey']);
    } else if (context.signature === undefined || context.blob === undefined) context.accept();
    else if (known.verify(context.blob, context.signature, context.hashAlgo) === true) context.accept();
    else context.reject();
  });
  client.on('tcpip', (accept, refuse, { destIP, destPort }) => {
    const socket = connect({ host: destIP, port: destPort });
    socket.once('error', () => refuse());
    socket.once('connect', () => {
      const channel = accept();
      channel.on('error', () => undefined).on('close', () => socket.destroy());
      socket.removeAllListeners('error').on('error', () => channel.end());
      channel.pipe(socket).pipe(channel);
    });
  });
  client.on('session', (accept) => {
    accept().on('exec', (take, _refuse, { command }) => {
      const channel = take();
      const child = spawn('/bin/sh', ['-c', command], { env });
      channel.pipe(child.stdin);
      child.stdin.on('error', () => undefined);
      channel.on('error', () => undefined);
      child.stdout.pipe(channel, { end: false });
      child.stderr.pipe(channel.stderr, { end: false });
      child.on('close', (code) => {
        channel.exit(code ?? 1);
        channel.end();
      });
    });
  });
}
