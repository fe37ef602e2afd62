// Whether there is a default route, from the kernel's tables.
import { expect, test } from 'vitest';
import { hasDefaultV4, hasDefaultV6 } from './default-route.ts';

const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n';
const LAN = 'eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n';

test.each([
  { name: 'none', table: HEAD, is: false },
  { name: 'the network alone', table: HEAD + LAN, is: false },
  {
    name: 'by a gateway',
    table: `${HEAD}${LAN}eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n`,
    is: true,
  },
  { name: 'that rejects', table: `${HEAD}*\t00000000\t00000000\t0201\t0\t0\t100\t00000000\t0\t0\t0\n`, is: false },
])('IPv4, $name: $is', ({ table, is }) => {
  expect(hasDefaultV4(table)).toBe(is);
});

const ZERO = '0'.repeat(32);
const line = (target: string, flags: string, device: string) =>
  `${target} 00 ${ZERO} 00 ${ZERO} ffffffff 00000001 00000000 ${flags} ${device}\n`;

test.each([
  { name: 'none', table: '', is: false },
  { name: 'the one on lo that stands for none', table: line(ZERO, '00200200', 'lo'), is: false },
  { name: 'by a router', table: line(ZERO, '00450003', 'eth0'), is: true },
  { name: 'to a network', table: line(`fe80${'0'.repeat(28)}`, '00000001', 'eth0'), is: false },
])('IPv6, $name: $is', ({ table, is }) => {
  expect(hasDefaultV6(table)).toBe(is);
});
