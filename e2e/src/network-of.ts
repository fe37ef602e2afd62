// Takes a machine's network away as its owner does who closes the lid or walks off: no route, or, across boots, no address either.
import { readFile, writeFile } from 'node:fs/promises';
import { nodeAddress } from '../bed/control-plane.ts';
import type { Machine } from '../bed/machine.ts';
import { NETWORK_FILE, networkFile } from '../bed/machine-network.ts';
import { waitUntil } from '../bed/wait-until.ts';

const NOTHING = '[Match]\nName=host0\n[Network]\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n';

/** The running machine knows no way to anywhere but its own network, until `network` gives it back or it boots. */
export async function dropRoute(machine: Machine): Promise<void> {
  await machine.exec(['ip', 'route', 'del', 'default']);
}

export async function addRoute(machine: Machine): Promise<void> {
  await machine.exec(['ip', 'route', 'replace', 'default', 'via', nodeAddress]);
}

/** Shuts the machine down and boots it without any address; returns when systemd has started everything. */
export async function bootWithoutNetwork(machine: Machine): Promise<void> {
  await machine.stop();
  await writeFile(machine.onDisk(NETWORK_FILE), NOTHING);
  await machine.start({ wait: false });
  await waitUntil(
    async () => /running|degraded/.test((await machine.tryExec(['systemctl', 'is-system-running', '--wait'])).stdout),
    { what: `${machine.name} to boot without a network`, explain: () => readFile(machine.consoleLog, 'utf8') },
  );
}

/** The machine's network as it was made, whatever was taken from it. */
export async function giveNetworkBack(machine: Machine): Promise<void> {
  const whole = networkFile(machine.address);
  if (!(await machine.isRunning())) {
    await writeFile(machine.onDisk(NETWORK_FILE), whole);
    return;
  }
  await machine.exec(['sh', '-euc', 'cat > "$0"; networkctl reload; networkctl reconfigure host0', NETWORK_FILE], {
    input: whole,
  });
}
