// Asks the hub to confirm an attempt as the machine itself would, with the machine's key, but from elsewhere and whenever a scenario likes.
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Confirmation } from '@floe/agent/attempt/outcome';
import { confirmOnce } from '@floe/agent/hub/confirm';
import { TransportMemory } from '@floe/agent/hub/transport';
import { parseHostKey } from '@floe/agent/identity/openssh-key';
import { CA_FILE, type Installation, NAMESPACE, SYSTEM } from './installation.ts';
import type { Probe } from './probe.ts';

const ASK = ['get', 'service', 'floe-hub', '-o', 'jsonpath={.spec.clusterIP}'];

/** The hub's answer. The machine hears nothing of it, and needs no network for it. */
export async function askHub(
  { cluster }: Installation,
  { machine, name }: Probe,
  attempt: string,
  closure: string,
): Promise<Confirmation> {
  const [key, ca, address] = await Promise.all([
    readFile(machine.onDisk('/etc/ssh/ssh_host_ed25519_key'), 'utf8'),
    machine.exec(['cat', CA_FILE]),
    cluster.kubectl(['-n', SYSTEM, ...ASK]),
  ]);
  // The hub's certificate is for localhost too.
  const port = await cluster.forwards.open(address, 8443);
  const caller = {
    address: { url: `https://localhost:${port}`, tls: createSecureContext({ ca }) },
    namespace: NAMESPACE,
    machine: name,
    key: parseHostKey(key),
    agent: { version: 'scenario' },
    transports: new TransportMemory(),
  };
  return confirmOnce(caller, attempt, closure, AbortSignal.timeout(20_000));
}
