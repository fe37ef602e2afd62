// What an agent costs the machine that it waits on: memory, wakes, and what passes the wire, read inside the machine.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '../bed/machine.ts';

/** Memory of a process in MiB. */
export type Memory = {
  readonly rss: number;
  /** Proportional: what it shares with others is divided among them. */
  readonly pss: number;
  /** Its own, which only it or swap gives back; the rest are pages of program files, which the kernel drops at need. */
  readonly anonymous: number;
};

/** What happened in a time in which nothing was to be done, as counted. */
export type Idle = {
  readonly seconds: number;
  /** On the machine's only interface, both ways, with Ethernet's headers. */
  readonly bytes: number;
  readonly packets: number;
  /** Times that the agent's main thread was woken. */
  readonly wakes: number;
  readonly cpuSeconds: number;
};

const AGENT = 'systemctl show --value --property=MainPID floe-agent';
const INTERFACE = '/sys/class/net/host0/statistics';

/** Memory out of the text of /proc/PID/smaps_rollup. Throws where it says nothing. */
export function memoryOfRollup(text: string): Memory {
  const of = (name: string): number => {
    const kilobytes = new RegExp(`^${name}:\\s+([0-9]+) kB`, 'm').exec(text)?.[1];
    if (kilobytes === undefined) throw new Error(`smaps_rollup has no ${name}: is the process gone?`);
    return Number(kilobytes) / 1024;
  };
  return { rss: of('Rss'), pss: of('Pss'), anonymous: of('Pss_Anon') };
}

export async function agentMemory(machine: Machine): Promise<Memory> {
  return memoryOfRollup(await machine.sh(`cat /proc/$(${AGENT})/smaps_rollup`));
}

/** Memory of the same Node with nothing to do and no flags: what a program in it costs at least. */
export async function nodeMemory(machine: Machine): Promise<Memory> {
  const unit = 'bench-node.service';
  const program = ['/usr/local/bin/node', '-e', 'setInterval(() => {}, 1e6)'];
  await machine.exec(['systemd-run', '--quiet', '--collect', `--unit=${unit}`, '--', ...program]);
  try {
    await sleep(3_000);
    return memoryOfRollup(
      await machine.sh(`cat /proc/$(systemctl show --value --property=MainPID ${unit})/smaps_rollup`),
    );
  } finally {
    await machine.tryExec(['systemctl', 'stop', unit]);
  }
}

/** Counts for that many seconds. */
export async function countIdle(machine: Machine, seconds: number, signal: AbortSignal): Promise<Idle> {
  const before = await counters(machine);
  await sleep(seconds * 1000, undefined, { signal });
  const after = await counters(machine);
  return {
    seconds: (after.at - before.at) / 1000,
    bytes: after.bytes - before.bytes,
    packets: after.packets - before.packets,
    wakes: after.wakes - before.wakes,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
  };
}

type Counters = Omit<Idle, 'seconds'> & { readonly at: number };

async function counters(machine: Machine): Promise<Counters> {
  const text = await machine.sh(`pid=$(${AGENT}); cd ${INTERFACE}
    echo $(($(date +%s%N) / 1000000)) $(($(cat rx_bytes) + $(cat tx_bytes))) $(($(cat rx_packets) + $(cat tx_packets)))
    sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' /proc/$pid/task/$pid/status
    sed 's/.*) //' /proc/$pid/stat | awk '{ print ($12 + $13) / 100 }'`);
  const [at = 0, bytes = 0, packets = 0, wakes = 0, cpuSeconds = 0] = text.trim().split(/\s+/).map(Number);
  return { at, bytes, packets, wakes, cpuSeconds };
}
