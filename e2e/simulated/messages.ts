// What a process of simulated agents and whoever started it say to each other.

import type { FleetScript } from './script.ts';

/** Where the agents dial. */
export type HubAddress = {
  /** `https://host:port`. */
  readonly url: string;
  /** File with the CA of the hub's certificate, PEM. */
  readonly caFile: string;
};

export type ToAgents =
  /** Make an agent with a key of its own for each machine. Answer: `made`. */
  | {
      readonly kind: 'make';
      readonly namespace: string;
      readonly machines: readonly string[];
      readonly hub: HubAddress;
      /** How long a machine takes for each of fetch, switch, health checks and boot entry, in ms. */
      readonly stageMs: number;
    }
  /** Connect them, some per second. Answer: `started`, once all have begun. */
  | {
      readonly kind: 'start';
      /** What each runs at first. */
      readonly closures: Readonly<Record<string, string>>;
      readonly perSecond: number;
    }
  /** What goes wrong from now on. Answer: `scripted`. */
  | { readonly kind: 'script'; readonly script: FleetScript | undefined }
  /** Say when each began with which closure. Answer: `begun`. */
  | { readonly kind: 'report' };

export type FromAgents =
  | { readonly kind: 'made'; readonly sshHostKeys: Readonly<Record<string, string>> }
  | { readonly kind: 'started' }
  | { readonly kind: 'scripted' }
  /** Milliseconds since 1970 at which a machine began to fetch a closure, first times only. */
  | { readonly kind: 'begun'; readonly at: Readonly<Record<string, number>> }
  | { readonly kind: 'failed'; readonly message: string };
