// A process of simulated agents: the agent's real connection, journal and order of an attempt, with machines in memory.
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { makeHostKey } from '@floe/agent/identity/make-host-key';
import type { HostKey } from '@floe/agent/identity/openssh-key';
import type { Behaviour } from '@floe/agent/simulated/simulated-machine';
import { SimulatedAgent } from '@floe/agent/simulated-agent';
import { pause } from '@floe/operator/kube/pause';
import type { FromAgents, HubAddress, ToAgents } from './messages.ts';
import { type Fate, type FleetScript, fateOf } from './script.ts';

type Made = {
  readonly namespace: string;
  readonly hub: HubAddress;
  readonly keys: ReadonlyMap<string, HostKey>;
  readonly stageMs: number;
};

/** Who is to stay away until the next script stays so long at most, in ms. */
const LONGEST_MS = 600_000;

const end = new AbortController();
/** By closure: each machine has one of its own. */
const begun = new Map<string, number>();
let made: Made | undefined;
let script: FleetScript | undefined;
/** Ends when another script begins. */
let nextScript = new AbortController();
/** Closures that ran before the script began: the way back to them is as it was. */
let known: ReadonlySet<string> = new Set();

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
    const away = new EventTarget();
    const agent = new SimulatedAgent({
      hub: hub.url,
      tls,
      namespace,
      machine,
      key,
      closure,
      behaviour: (told) => {
        begin(told);
        const fate = script === undefined || known.has(told) ? undefined : fateOf(script, machine, told);
        if (fate?.disconnects === true) leaveOnce(machine, told, away);
        return behaviourOf(fate, stageMs);
      },
    });
    lives(agent, away).catch((error: unknown) => {
      if (!end.signal.aborted) say({ kind: 'failed', message: `agent ${machine} ended: ${error}` });
    });
    await pause(1 / perSecond, end.signal);
  }
  return { kind: 'started' };
}

/** Who went away already, by machine and closure. */
const left = new Set<string>();

/** Lets the agent of a machine end in mid-attempt, once for each closure. */
function leaveOnce(machine: string, closure: string, away: EventTarget): void {
  const key = `${machine} ${closure}`;
  if (left.has(key)) return;
  left.add(key);
  setTimeout(() => away.dispatchEvent(new Event('leave')), script?.disconnect?.afterMs ?? 0).unref();
}

/** Runs an agent, and starts it again after each time that it went away; its journal stays. */
async function lives(agent: SimulatedAgent, away: EventTarget): Promise<void> {
  while (!end.signal.aborted) {
    const life = new AbortController();
    away.addEventListener('leave', () => life.abort(), { once: true });
    const stop = () => life.abort();
    end.signal.addEventListener('abort', stop, { once: true });
    await agent.run(life.signal).catch((error: unknown) => {
      if (!life.signal.aborted) throw error;
    });
    end.signal.removeEventListener('abort', stop);
    await absence(end.signal);
  }
}

/** Waits for as long as the script keeps away who left. */
async function absence(signal: AbortSignal): Promise<void> {
  const { disconnect } = script ?? {};
  const within = AbortSignal.any([signal, nextScript.signal]);
  const seconds = disconnect === undefined ? 0 : (disconnect.awayMs ?? LONGEST_MS) / 1000;
  await pause(seconds, within).catch(() => undefined);
}

function behaviourOf(fate: Fate | undefined, stageMs: number): Behaviour {
  const ms = stageMs * (fate?.factor ?? 1);
  const unhealthy = { kind: 'unhealthy' as const, units: ['simulated.service'], message: 'simulated.service failed' };
  return {
    fetchMs: ms,
    switchMs: ms,
    healthMs: ms,
    ...(fate?.failsSwitch === true ? { testExitCode: 1 } : {}),
    ...(fate?.failsHealth === true ? { health: unhealthy } : {}),
    ...(fate?.turnsBad === true ? { turnsBadMs: script?.turnBad?.afterMs ?? 0 } : {}),
  };
}

async function answer(message: ToAgents): Promise<FromAgents> {
  switch (message.kind) {
    case 'make':
      return make(message);
    case 'start':
      return start(message);
    case 'script':
      script = message.script;
      nextScript.abort();
      nextScript = new AbortController();
      known = new Set(begun.keys());
      return { kind: 'scripted' };
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
