// A process of simulated agents: the agent's real connection, journal and order of an attempt, with machines in memory.
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { makeHostKey } from '@floe/agent/identity/make-host-key';
import type { HostKey } from '@floe/agent/identity/openssh-key';
import { SimulatedAgent } from '@floe/agent/simulated-agent';
import { pause } from '@floe/operator/kube/pause';
import type { FromAgents, HubAddress, ToAgents } from './messages.ts';

type Made = {
  readonly namespace: string;
  readonly hub: HubAddress;
  readonly keys: ReadonlyMap<string, HostKey>;
  readonly stageMs: number;
};

const end = new AbortController();
/** By closure: each machine has one of its own. */
const begun = new Map<string, number>();
let made: Made | undefined;

function make({ namespace, machines, hub, stageMs }: Extract<ToAgents, { kind: 'make' }>): FromAgents {
  const keys = new Map(machines.map((name) => [name, makeHostKey()] as const));
  made = { namespace, hub, keys, stageMs };
  const sshHostKeys = Object.fromEntries([...keys].map(([name, key]) => [name, key.publicKey]));
  return { kind: 'made', sshHostKeys };
}

function begin(closure: string): void {
  if (!begun.has(closure)) begun.set(closure, Date.now());
}

async function start({ closures, perSecond }: Extract<ToAgents, { kind: 'start' }>): Promise<FromAgents> {
  if (made === undefined) throw new Error('start came before make');
  const { namespace, hub, keys, stageMs } = made;
  const tls = createSecureContext({ ca: await readFile(hub.caFile) });
  for (const [machine, key] of keys) {
    const closure = closures[machine];
    if (closure === undefined) throw new Error(`${machine} has no closure to run at first`);
    const agent = new SimulatedAgent({
      hub: hub.url,
      tls,
      namespace,
      machine,
      key,
      closure,
      behaviour: (told) => {
        begin(told);
        return { fetchMs: stageMs, switchMs: stageMs, healthMs: stageMs };
      },
    });
    agent.run(end.signal).catch((error: unknown) => {
      if (!end.signal.aborted) say({ kind: 'failed', message: `agent ${machine} ended: ${error}` });
    });
    await pause(1 / perSecond, end.signal);
  }
  return { kind: 'started' };
}

async function answer(message: ToAgents): Promise<FromAgents> {
  switch (message.kind) {
    case 'make':
      return make(message);
    case 'start':
      return start(message);
    case 'report':
      return { kind: 'begun', at: Object.fromEntries(begun) };
    default:
      return message satisfies never;
  }
}

function say(message: FromAgents): void {
  process.send?.(message);
}

process.on('message', (message: ToAgents) => {
  answer(message).then(say, (error: unknown) => {
    say({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  });
});
// Whoever started this process has ended, or wants no more of it.
process.on('disconnect', () => {
  end.abort();
  setTimeout(() => process.exit(0), 500).unref();
});
