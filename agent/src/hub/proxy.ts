// Which proxy stands between this machine and the hub: HTTPS_PROXY, ALL_PROXY and NO_PROXY, read as curl reads them.
import { BlockList, isIP } from 'node:net';

/** A proxy, and the variable that named it. */
export type HubProxy = { readonly url: URL; readonly variable: string };

export class ProxyError extends Error {
  override readonly name = 'ProxyError';
}

type Environment = Readonly<Record<string, string | undefined>>;

const SCHEMES = ['http:', 'https:', 'socks:', 'socks5:', 'socks5h:'];
const REMEDY = 'write http://[user:password@]host:port, or socks5h://host:port';

/** The small letters count first, as with curl. */
function read(environment: Environment, name: string): { value: string; variable: string } | undefined {
  for (const variable of [name.toLowerCase(), name]) {
    const value = environment[variable]?.trim();
    if (value !== undefined && value !== '') return { value, variable };
  }
  return undefined;
}

/**
 * The proxy for `target` (`https://host:port`), or undefined where it is dialled directly. Throws ProxyError where the
 * variable can't be read: dialling directly instead would be what somebody meant to prevent.
 */
export function proxyFor(target: string, environment: Environment): HubProxy | undefined {
  const given = read(environment, 'HTTPS_PROXY') ?? read(environment, 'ALL_PROXY');
  if (given === undefined) return undefined;
  if (isExcepted(new URL(target), read(environment, 'NO_PROXY')?.value ?? '')) return undefined;
  const { value, variable } = given;
  const text = /^[a-z0-9]+:\/\//i.test(value) ? value : `http://${value}`;
  // The value may hold a password: it is never shown.
  if (!URL.canParse(text)) throw new ProxyError(`${variable}: it is no URL; ${REMEDY}`);
  const url = new URL(text);
  if (!SCHEMES.includes(url.protocol)) {
    throw new ProxyError(`${variable}: "${url.protocol}//" is no kind of proxy that is known; ${REMEDY}`);
  }
  if (url.hostname === '') throw new ProxyError(`${variable}: it names no host; ${REMEDY}`);
  return { url, variable };
}

/** What a person may read of a proxy: no credentials. */
export function describeProxy({ url, variable }: HubProxy): string {
  return `the proxy ${url.protocol}//${url.host} (${variable})`;
}

/** NO_PROXY: hosts, domains (with or without a leading dot), addresses, networks, each with or without a port, or `*`. */
function isExcepted(target: URL, list: string): boolean {
  const host = target.hostname.toLowerCase().replace(/^\[|\]$/g, '');
  const port = target.port === '' ? '443' : target.port;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || isMatch(entry, host, port));
}

function isMatch(entry: string, host: string, port: string): boolean {
  if (entry.includes('/')) return isInNetwork(host, entry);
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(entry);
  const plain = isIP(entry) === 6 ? undefined : /^(.*):(\d+)$/.exec(entry);
  const [, name = entry, only] = bracketed ?? plain ?? [];
  if (only !== undefined && only !== port) return false;
  const domain = name.replace(/^\*?\./, '');
  return host === domain || (isIP(host) === 0 && host.endsWith(`.${domain}`));
}

function isInNetwork(host: string, network: string): boolean {
  const [address = '', bits = ''] = network.split('/');
  const family = isIP(address);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const block = new BlockList();
  block.addSubnet(address, Number(bits), type);
  return block.check(host, type);
}
