// Helm values of the demo in kind, beside those of every local installation: how machines reach hub and cache on the node.

const HUB_PORT = 30443;
const CACHE_PORT = 30080;

/** Where machines dial the hub. */
export function hubUrl(node: string): string {
  return `https://${node}:${HUB_PORT}`;
}

/** `node` is the address of kind's node in Docker's network. */
export function kindValues(node: string): object {
  return {
    hub: { service: { type: 'NodePort', nodePort: HUB_PORT } },
    tls: { addresses: [node] },
    cache: { publicUrl: `http://${node}:${CACHE_PORT}`, service: { type: 'NodePort', nodePort: CACHE_PORT } },
  };
}
