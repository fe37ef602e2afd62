// How a machine's own systemd-networkd sets up its one interface.
import { nodeAddress } from './control-plane.ts';

/** Where the setting lies on a machine. */
export const NETWORK_FILE = '/etc/systemd/network/10-host0.network';

/** The setting of a machine with an address and the way to everything else. */
export function networkFile(address: string): string {
  return `[Match]\nName=host0\n[Network]\nAddress=${address}/24\nGateway=${nodeAddress}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\n`;
}
