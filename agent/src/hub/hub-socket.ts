// What a connection to the hub is to the rest of the agent, whichever way it goes.
import type { SecureContext } from 'node:tls';
import type { AgentMessage, HubMessage } from '@floe/crds/protocol';
import type { HubProxy } from './proxy.ts';

/** How the hub is reached. */
export type Transport = 'websocket' | 'poll';

export type Ended = {
  /** For people. */
  readonly reason: string;
  /** TLS worked, but nothing that a hub says came back: something between may let only plain requests through. */
  readonly blocked: boolean;
};

export interface HubSocket {
  readonly transport: Transport;
  send(message: AgentMessage): void;
  /** The next message; undefined once the connection has ended. Rejects when the signal aborts. */
  receive(signal: AbortSignal): Promise<HubMessage | undefined>;
  /** Asks for a sign of life. */
  ping(): void;
  /** Times that it was asked for one since the last. */
  readonly unanswered: number;
  close(code: number, reason: string): void;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly ended: Promise<Ended>;
}

export type Address = {
  /** `https://host:port` of the hub. */
  readonly url: string;
  /** Shared by all connections of a process; absent: what Node trusts. */
  readonly tls: SecureContext | undefined;
  /** What the environment says stands between; absent: nothing. */
  readonly proxy?: HubProxy | undefined;
};
