// The cluster's name server: answers the names of Services by asking the API server, and from memory while that is away; and records in a file.
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { parse } from 'yaml';

const typeA = 1;
const typeAaaa = 28;

/** A question, as far as we read it. */
interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** Where the question section ends in the message. */
  readonly end: number;
}

/** Returns undefined for what is no plain question. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < 17 || message.readUInt16BE(4) !== 1 || (message.readUInt8(2) & 0x80) !== 0) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at + length + 5 > message.length) return undefined;
    at += 1;
    if (length === 0) break;
    labels.push(message.toString('latin1', at, at + length).toLowerCase());
    at += length;
  }
  return { id: message.readUInt16BE(0), name: labels.join('.'), type: message.readUInt16BE(at), end: at + 4 };
}

/** `addresses` undefined means that the name does not exist. */
export function writeAnswer(message: Buffer, question: Question, addresses: readonly string[] | undefined): Buffer {
  const list = question.type === typeA ? (addresses ?? []) : [];
  const head = Buffer.from(message.subarray(0, question.end));
  head.writeUInt16BE(addresses ? 0x8580 : 0x8583, 2); // an authoritative answer; code 3 is "no such name"
  head.writeUInt16BE(list.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  const records = list.map((address) => {
    const record = Buffer.from([0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 5, 0, 4, 0, 0, 0, 0]);
    for (const [index, part] of address.split('.').entries()) record.writeUInt8(Number(part), 12 + index);
    return record;
  });
  return Buffer.concat([head, ...records]);
}

/** Splits `floe-hub.floe-system.svc[.cluster.local]`. */
export function serviceOf(name: string): { readonly service: string; readonly namespace: string } | undefined {
  const match = /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?$/.exec(name);
  return match?.[1] && match[2] ? { service: match[1], namespace: match[2] } : undefined;
}

interface Known {
  readonly addresses: readonly string[] | undefined;
  readonly until: number;
}

/** The records that a person made: a JSON object of names and addresses, in a file that may come and change at any time. */
export function recordOf(file: string, name: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const records = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, string>>;
  return Object.hasOwn(records, name) ? records[name] : undefined;
}

/** Serves on UDP `address:53` until the process ends. `kubeconfig` has its certificates inline; `records` as in {@link recordOf}. */
export function serveDns(kubeconfig: string, address: string, records: string): void {
  const ask = asker(kubeconfig);
  const known = new Map<string, Known>();
  const socket = createSocket('udp4');
  const lookUp = async (name: string): Promise<readonly string[] | undefined> => {
    const record = recordOf(records, name);
    if (record !== undefined) return [record];
    const parts = serviceOf(name);
    if (!parts) return undefined;
    const before = known.get(name);
    if (before && before.until > performance.now()) return before.addresses;
    try {
      const addresses = await ask(parts.namespace, parts.service);
      known.set(name, { addresses, until: performance.now() + 2000 });
      return addresses;
    } catch {
      return before?.addresses;
    }
  };
  socket.on('message', (message, from) => {
    const question = readQuestion(message);
    if (!question) return;
    const lookable = question.type === typeA || question.type === typeAaaa;
    (lookable ? lookUp(question.name) : Promise.resolve(undefined))
      .then((addresses) => socket.send(writeAnswer(message, question, addresses), from.port, from.address))
      .catch((error: unknown) => console.error(question.name, error));
  });
  socket.bind(53, address);
}

interface KubeConfig {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
  }[];
  readonly users: readonly {
    readonly user: { readonly 'client-certificate-data': string; readonly 'client-key-data': string };
  }[];
}

function asker(kubeconfig: string): (namespace: string, service: string) => Promise<readonly string[] | undefined> {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as KubeConfig;
  const cluster = config.clusters[0]?.cluster;
  const user = config.users[0]?.user;
  if (!cluster || !user) throw new Error(`${kubeconfig}: no cluster or no user in it`);
  const agent = new Agent({
    keepAlive: true,
    ca: Buffer.from(cluster['certificate-authority-data'], 'base64'),
    cert: Buffer.from(user['client-certificate-data'], 'base64'),
    key: Buffer.from(user['client-key-data'], 'base64'),
  });
  const read = (path: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const request = get(`${cluster.server}${path}`, { agent, timeout: 1500 }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 404) resolve(undefined);
          else if (response.statusCode === 200) resolve(JSON.parse(body));
          else reject(new Error(`${path}: status ${response.statusCode}`));
        });
      });
      request.on('timeout', () => request.destroy(new Error(`${path}: no answer within 1.5 s`)));
      request.on('error', reject);
    });
  return async (namespace, service) => {
    const path = `/api/v1/namespaces/${namespace}`;
    const found = (await read(`${path}/services/${service}`)) as { spec: { clusterIP?: string } } | undefined;
    if (!found) return undefined;
    if (found.spec.clusterIP && found.spec.clusterIP !== 'None') return [found.spec.clusterIP];
    const endpoints = (await read(`${path}/endpoints/${service}`)) as
      | { subsets?: readonly { addresses?: readonly { ip: string }[] }[] }
      | undefined;
    return (endpoints?.subsets ?? []).flatMap((subset) => (subset.addresses ?? []).map(({ ip }) => ip));
  };
}
