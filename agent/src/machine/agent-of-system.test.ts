// Which agent a system brings, from its unit file.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { agentOfSystem, missingAgent, programOf } from './agent-of-system.ts';

const AGENT = '/nix/store/57vixb8fdlgvdzp2vjacq2d3jhcl6yy7-floe-agent-0.1.0';

test.each([
  ['as NixOS writes it', `[Service]\nExecStart=${AGENT}/bin/floe-agent run --config /etc/floe-agent.json\n`, AGENT],
  ['with a prefix', `[Service]\nExecStart=-${AGENT}/bin/floe-agent run\n`, AGENT],
  ['quoted', `[Service]\nExecStart="${AGENT}/bin/floe-agent" "run"\n`, AGENT],
  ['replaced', `[Service]\nExecStart=/bin/false\nExecStart=\nExecStart=${AGENT}/bin/floe-agent\n`, AGENT],
  ['taken away', `[Service]\nExecStart=${AGENT}/bin/floe-agent\nExecStart=\n`, undefined],
  ['of another start', `[Service]\nExecStartPre=${AGENT}/bin/floe-agent\nExecStart=/bin/false\n`, undefined],
  ['put there by hand', '[Service]\nExecStart=/usr/local/bin/floe-agent run\n', undefined],
  ['without one', '[Service]\n', undefined],
])('%s', (_, unit, program) => {
  expect(programOf(unit)).toBe(program);
});

test('is read below the system; none where it has no agent', async () => {
  const system = await mkdtemp(join(tmpdir(), 'floe-system-'));
  try {
    expect(await agentOfSystem(system, 'floe-agent.service')).toBeUndefined();
    expect(await missingAgent(system, 'floe-agent.service')).toContain('services.floe-agent.enable = true');
    await mkdir(join(system, 'etc/systemd/system'), { recursive: true });
    await writeFile(join(system, 'etc/systemd/system/floe-agent.service'), `ExecStart=${AGENT}/bin/floe-agent run\n`);
    expect(await agentOfSystem(system, 'floe-agent.service')).toBe(AGENT);
    expect(await agentOfSystem(undefined, 'floe-agent.service')).toBeUndefined();
    expect(await missingAgent(system, 'floe-agent.service')).toBeUndefined();
    const emptied = `ExecStart=${AGENT}/bin/floe-agent\nExecStart=\n[Install]\n`;
    await writeFile(join(system, 'etc/systemd/system/floe-agent.service'), emptied);
    expect(await missingAgent(system, 'floe-agent.service')).toContain(`${system} has no floe-agent.service`);
  } finally {
    await rm(system, { recursive: true });
  }
});
