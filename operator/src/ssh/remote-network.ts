// The network as a machine without an agent sees it: its SSH server connects, so that checks find what it serves.
import { complaintOf } from '@floe/agent/machine/command';
import type { Network } from '@floe/agent/machine/network';
import type { Link } from './link.ts';
import { READ } from './scripts.ts';

/** Where NixOS keeps the certificates that a machine trusts (nixos/modules/security/ca.nix of nixpkgs). */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';
const READ_SECONDS = 30;

export function remoteNetwork(link: Link): Network {
  const read = async (path: string, signal: AbortSignal): Promise<Buffer> => {
    const result = await link.run(READ, [path], { signal, limitSeconds: READ_SECONDS });
    if (result.code !== 0) throw new Error(`${path} can't be read on the machine: ${complaintOf(result)}`);
    return Buffer.from(result.stdout, 'base64');
  };
  let trusted: Promise<Buffer> | undefined;
  return {
    dial: (to, signal) => link.dial(to, signal),
    trusted: TRUSTED,
    // The machine's own certificates are a large file and change with a switch only; a check is tried every few seconds.
    read: (path, signal) => {
      if (path !== TRUSTED) return read(path, signal);
      trusted ??= read(path, signal).catch((error: unknown) => {
        trusted = undefined;
        throw error;
      });
      return trusted;
    },
  };
}
