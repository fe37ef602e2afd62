// Proxies between machines and hub, Debian's own: one that knows CONNECT, one that speaks SOCKS5, one that ends TLS and passes no upgrade on.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../bed/cluster.ts';
import { nodeAddress } from '../bed/control-plane.ts';
import type { Daemon } from '../bed/daemon.ts';
import { ensurePackages } from '../bed/ensure-host.ts';
import { run } from '../bed/run.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { hubAddress } from './helm-values.ts';

const TUNNEL = 3128;
const SOCKS = 1080;
/** That of the hub: a machine that takes the proxy for its hub dials the same URL. */
const HUB = 8443;

type Name = 'tunnel' | 'socks' | 'inspector';

export class Proxies implements AsyncDisposable {
  /** For `http_proxy` and `https_proxy`: tinyproxy, which connects to the ports of hub and cache alone. */
  readonly tunnel = `http://${nodeAddress}:${TUNNEL}`;
  /** For `all_proxy`: microsocks; it resolves names. */
  readonly socks = `socks5h://${nodeAddress}:${SOCKS}`;
  /** Where nginx poses as the hub: what it has decrypted it passes on as plain requests. */
  readonly inspector = nodeAddress;
  /** Its certificate (PEM). */
  readonly inspectorCa: string;
  readonly #daemons: Readonly<Record<Name, Daemon>>;

  private constructor(daemons: Readonly<Record<Name, Daemon>>, inspectorCa: string) {
    this.#daemons = daemons;
    this.inspectorCa = inspectorCa;
  }

  /** Starts all three; `hubs` are the addresses of the hub's replicas. Installs Debian's packages where they are missing. */
  static async start(cluster: Cluster, hubs: readonly string[]): Promise<Proxies> {
    await ensurePackages({}, 'proxies');
    const dir = join(cluster.dir, 'proxies');
    await mkdir(dir, { recursive: true });
    const ca = await makeCertificate(dir);
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(dir, name), text);
      return join(dir, name);
    };
    const commands: Record<Name, string[]> = {
      tunnel: ['tinyproxy', '-d', '-c', await file('tinyproxy.conf', tinyproxyConf)],
      socks: ['microsocks', '-i', nodeAddress, '-p', `${SOCKS}`],
      inspector: ['/usr/sbin/nginx', '-p', dir, '-e', 'stderr', '-c', await file('nginx.conf', nginxConf(dir, hubs))],
    };
    const daemon = (name: Name): Daemon => cluster.addDaemon(`proxy-${name}`, commands[name]);
    const daemons = { tunnel: daemon('tunnel'), socks: daemon('socks'), inspector: daemon('inspector') };
    // Of a first try of the same scenario.
    await Promise.all(Object.values(daemons).map((one) => one.stop()));
    await Promise.all(Object.values(daemons).map((one) => one.start()));
    const ask = `for port in ${TUNNEL} ${SOCKS} ${HUB}; do : < /dev/tcp/${nodeAddress}/$port || exit 1; done`;
    await waitUntil(async () => (await cluster.exec(['bash', '-c', ask]).catch(() => undefined)) !== undefined, {
      what: 'the proxies to listen',
      explain: async () => (await Promise.all(Object.values(daemons).map((one) => one.logTail(5)))).join('\n'),
    });
    return new Proxies(daemons, ca);
  }

  /** What one has logged since it was started first, with the addresses of those who asked. */
  async log(name: Name): Promise<readonly string[]> {
    return (await readFile(this.#daemons[name].logFile, 'utf8')).trimEnd().split('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.#daemons).map((one) => one.stop()));
  }
}

/** As a company has one for its proxy that looks into TLS. */
async function makeCertificate(dir: string): Promise<string> {
  const key = join(dir, 'key.pem');
  const certificate = join(dir, 'certificate.pem');
  const make = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const names = ['-subj', '/CN=a proxy that looks into TLS', '-addext', `subjectAltName=DNS:${hubAddress}`];
  await run([...make, '-days', '2', ...names, '-keyout', key, '-out', certificate]);
  await chmod(key, 0o600);
  return readFile(certificate, 'utf8');
}

const tinyproxyConf = `Port ${TUNNEL}
Listen ${nodeAddress}
Timeout 600
MaxClients 100
LogLevel Connect
ConnectPort ${HUB}
`;

/** \`Upgrade\` is a header between neighbours: nginx passes it on only where it is told to. A machine stays on one replica. */
function nginxConf(dir: string, hubs: readonly string[]): string {
  return `daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
events {}
http {
  log_format asked '$remote_addr $request_method $uri $status';
  access_log /dev/stdout asked;
  client_body_temp_path ${dir}/bodies;
  proxy_temp_path ${dir}/answers;
  fastcgi_temp_path ${dir}/unused;
  uwsgi_temp_path ${dir}/unused;
  scgi_temp_path ${dir}/unused;
  upstream hub {
    hash $remote_addr;
${hubs.map((address) => `    server ${address}:${HUB};\n`).join('')}  }
  server {
    listen ${nodeAddress}:${HUB} ssl;
    ssl_certificate ${dir}/certificate.pem;
    ssl_certificate_key ${dir}/key.pem;
    location / {
      proxy_pass https://hub;
      proxy_set_header Host $http_host;
      proxy_read_timeout 60s;
    }
  }
}
`;
}
