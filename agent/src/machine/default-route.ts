// Says whether the machine has a route to anywhere, from the kernel's own tables.
import { readFile } from 'node:fs/promises';

const UP = 0x1;
const REJECT = 0x200;
const ZERO_V6 = '0'.repeat(32);

/** Whether the table of IPv4 (/proc/net/route) has a default route. */
export function hasDefaultV4(table: string): boolean {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .some(([, destination, , flags = '0', , , , mask]) => {
      const bits = Number.parseInt(flags, 16);
      return destination === '00000000' && mask === '00000000' && (bits & UP) !== 0 && (bits & REJECT) === 0;
    });
}

/** Whether the table of IPv6 (/proc/net/ipv6_route) has a default route. */
export function hasDefaultV6(table: string): boolean {
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .some((fields) => {
      const bits = Number.parseInt(fields[8] ?? '0', 16);
      // Where there is none, the kernel shows one that rejects, on lo.
      return (
        fields[0] === ZERO_V6 && fields[1] === '00' && (bits & UP) !== 0 && (bits & REJECT) === 0 && fields[9] !== 'lo'
      );
    });
}

/** Whether there is a default route. Tables that can't be read count as one: better asked in vain than not at all. */
export async function hasRoute(folder = '/proc/net'): Promise<boolean> {
  const [four, six] = await Promise.all([
    readFile(`${folder}/route`, 'utf8').catch(() => undefined),
    readFile(`${folder}/ipv6_route`, 'utf8').catch(() => undefined),
  ]);
  if (four === undefined && six === undefined) return true;
  return hasDefaultV4(four ?? '') || hasDefaultV6(six ?? '');
}
