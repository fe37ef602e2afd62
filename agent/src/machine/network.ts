// The network as a machine sees it: what checks over http and tcp reach it by, whoever makes them.
import type { Buffer } from 'node:buffer';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { readCertificateFile } from './certificate-file.ts';

/** A port of a host, by name or address. */
export type Endpoint = { readonly host: string; readonly port: number };

export type Network = {
  /** Connects from the machine. Rejects with an error that says why not, or with the reason of the signal. */
  readonly dial: (to: Endpoint, signal: AbortSignal) => Promise<Duplex>;
  /** A file of certificates of the machine. Rejects with an error that names it. */
  readonly read: (path: string, signal: AbortSignal) => Promise<Buffer>;
  /** File of the machine with the certificates (PEM) that it trusts; default those of this process. */
  readonly trusted?: string;
};

/** The network of the machine that this process runs on; `resolvePath` finds its files. */
export function ownNetwork(resolvePath: (path: string) => string): Network {
  return { dial, read: (path, signal) => readCertificateFile(resolvePath(path), signal) };
}

function dial(to: Endpoint, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, signal });
    // It stays: an error between the connection and its first use must not end the process.
    socket.on('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

/** Whether a signal has ended it: nobody answered in time. */
export function isLate(error: Error): boolean {
  return error.name === 'AbortError' || error.name === 'TimeoutError';
}
