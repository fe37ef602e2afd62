// What the demo's acts need of the place where they play: the local cluster and kind both have it.
import type { Closures } from '../bed/machine.ts';
import type { Objects } from './observe.ts';

export interface SiteMachine {
  /** `ssh-ed25519 AAAA…`, for `spec.identity.sshHostKey`. */
  sshHostKey(): Promise<string>;
  /** Read on the machine itself. */
  closures(): Promise<Pick<Closures, 'current'>>;
}

/** Floe, installed in a cluster, with machines that know their hub and trust one key. */
export interface Site extends Objects {
  readonly machineNames: readonly string[];
  machine(name: string): Promise<SiteMachine>;
  /** Runs kubectl in the machines' namespace; returns what it prints. */
  kubectl(...args: string[]): Promise<string>;
  /** The command line that a person types to reach the cluster with kubectl. */
  kubectlLine(): Promise<string>;
  /** Applies objects in the machines' namespace. */
  apply(...objects: object[]): Promise<void>;
  /** Commits the fleet with a module per machine and one for all; pods reach it at the URL. */
  publish(modules: Readonly<Record<string, string>>, common?: string): Promise<{ url: string; commit: string }>;
}
