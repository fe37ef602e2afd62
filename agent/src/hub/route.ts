// How bytes get to the hub: directly, through a proxy that knows CONNECT, or through one that speaks SOCKS.
import type { ClientRequest } from 'node:http';
import { Agent } from 'node:https';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { SocksProxyAgent } from 'socks-proxy-agent';
import type { Address } from './hub-socket.ts';
import { describeProxy } from './proxy.ts';
import { tlsWords } from './tls-words.ts';

/** One way to the hub, for the connections of one session or one question. */
export type Route = {
  readonly agent: Agent;
  /** To be handed to `https.request` and to `ws` along with the agent. */
  readonly options: object;
  /** Listens to what a proxy says to a request. */
  watch(request: ClientRequest): void;
  /** What an error says; what is wrong with a certificate with what to do. */
  words(error: unknown): string;
  /** A failure in words: who said no, and what to do. */
  explain(message: string): string;
  /** Whether a proxy itself refused to connect. */
  readonly refusedByProxy: boolean;
};

function agentFor({ proxy }: Address, signal: AbortSignal): Agent {
  // One connection, kept from one long poll to the next: behind a load balancer another may lead to another replica.
  const pool = { keepAlive: true, maxSockets: 1 };
  if (proxy === undefined) return new Agent(pool);
  if (proxy.url.protocol.startsWith('socks')) return new SocksProxyAgent(proxy.url, pool) as unknown as Agent;
  // The signal reaches the socket to the proxy: one that never answers holds it no longer than the attempt lasts.
  return new HttpsProxyAgent(proxy.url, { ...pool, signal } as object) as unknown as Agent;
}

/** The way to the hub. Aborting the signal ends what hangs on a proxy. */
export function routeTo(address: Address, signal: AbortSignal): Route {
  const { proxy, tls, url } = address;
  const { hostname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  let refusal: number | undefined;
  return {
    agent: agentFor(address, signal),
    options: {
      ...(tls === undefined ? {} : { secureContext: tls }),
      // Through a proxy Node does not know any more whom it talks to where the hub is named by its address.
      ...(proxy === undefined
        ? {}
        : { checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate) }),
    },
    watch: (request) => {
      request.on('proxyConnect', ({ statusCode }: { statusCode: number }) => {
        refusal = statusCode === 200 ? undefined : statusCode;
      });
    },
    words: (error) =>
      tlsWords(error, { host, now: new Date() }) ?? (error instanceof Error ? error.message : String(error)),
    explain: (message) => {
      if (proxy === undefined) return message;
      const name = describeProxy(proxy);
      if (refusal === 407) {
        return `${name} asks for a user and a password (407); write them into ${proxy.variable}, http://user:password@host:port`;
      }
      if (refusal !== undefined) return `${name} does not connect to ${new URL(url).host}: it answers ${refusal}`;
      return `through ${name}: ${message}`;
    },
    get refusedByProxy() {
      return refusal !== undefined;
    },
  };
}
