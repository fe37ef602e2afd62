// Processes of simulated agents: keys, failures, and their end.
import { expect, test } from 'vitest';
import { SimulatedFleet } from './agents.ts';

const hub = { url: 'https://127.0.0.1:9', caFile: '/nonexistent/ca.crt' };

test('each machine gets a key of its own, over all processes; a failure is told; all end', async () => {
  const { signal } = new AbortController();
  const machines = ['m1', 'm2', 'm3'];
  const fleet = await SimulatedFleet.make({ namespace: 'fleet', machines, hub, processes: 2, signal });
  try {
    expect(Object.keys(fleet.sshHostKeys).toSorted()).toEqual(machines);
    expect(new Set(Object.values(fleet.sshHostKeys)).size).toBe(3);
    expect(fleet.pids).toHaveLength(2);
    expect((await fleet.begun()).size).toBe(0);
    await expect(fleet.start({}, 100)).rejects.toThrow('/nonexistent/ca.crt');
  } finally {
    await fleet.end();
  }
  for (const pid of fleet.pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});
