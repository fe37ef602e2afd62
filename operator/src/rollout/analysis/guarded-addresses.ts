// Keeps requests that a user writes away from addresses that are the operator's own: loopback, link-local, metadata services.
import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

const GUARDED = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
] as const) {
  GUARDED.addSubnet(net, prefix, 'ipv4');
}
for (const [net, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
  // IPv4 behind a translator: it leads to any of the above.
  ['64:ff9b::', 96],
  ['2002::', 16],
] as const) {
  GUARDED.addSubnet(net, prefix, 'ipv6');
}
// Metadata services of clouds that lie elsewhere.
GUARDED.addAddress('100.100.100.200', 'ipv4');
GUARDED.addAddress('168.63.129.16', 'ipv4');
GUARDED.addAddress('192.0.0.192', 'ipv4');
GUARDED.addAddress('fd20:ce::254', 'ipv6');
GUARDED.addAddress('fd00:ec2::254', 'ipv6');

/** Whether an IP address is one that no analysis may ask; IPv4 in the form of IPv6 included. */
export function isGuarded(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && GUARDED.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** What is wrong with asking this host; undefined where its name must be looked up first. */
export function guardedHost(hostname: string): string | undefined {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  return isGuarded(address) ? refusal(address) : undefined;
}

function refusal(where: string): string {
  return `${where} is an address of the operator's own host; name a Service, or start the operator with --analysis-allow-local`;
}

/** Looks up a name and gives what may be asked: checked at each connection, so that a name can't change in between. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) {
      callback(error, '', 0);
      return;
    }
    const allowed = found.filter(({ address }) => !isGuarded(address));
    const [first] = allowed;
    if (first === undefined) callback(new Error(refusal(hostname)), '', 0);
    else if (options.all === true) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
};
