// The operator as a process gets SIGTERM while a machine confirms: the machine is answered, and the process ends well.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { attempt, desired, machine, NEW } from '../conditions/machine.fixture.ts';
import { leases, nixMachines } from '../kube/resource.ts';
import { machineKey, machineState } from './agent.fixture.ts';
import { PollAgent } from './poll-agent.fixture.ts';
import { type Certificate, makeCertificate } from './replica.fixture.ts';
import { CLOSE } from './session.ts';

const PROGRAM = join(import.meta.dirname, '../../../cli/src/main.ts');
let certificate: Certificate;
let api: FakeApiServer;
let operator: ChildProcess | undefined;
let said = '';

beforeEach(async () => {
  certificate = await makeCertificate();
  api = await FakeApiServer.start();
});
afterEach(async () => {
  if (operator?.exitCode === null) {
    operator.kill('SIGKILL');
    await once(operator, 'exit');
  }
  await api.close();
  await certificate.remove();
});

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

test('an attempt in Confirming is confirmed by a process that was told to end', async () => {
  const key = machineKey();
  api.seed(nixMachines, machine({ desired: desired() }, { identity: { sshHostKey: key.line } }));
  const kubeconfig = join(certificate.folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: api.url } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  const [https, builds, http] = [await freePort(), await freePort(), await freePort()];
  const flags = {
    'pod-name': 'floe-0',
    'https-port': https,
    'builds-port': builds,
    'http-port': http,
    'tls-cert': join(certificate.folder, 'tls.crt'),
    'tls-key': join(certificate.folder, 'tls.key'),
    image: 'localhost/floe',
    'cache-url': 'http://127.0.0.1:8080/{namespace}',
    'report-url': `https://127.0.0.1:${builds}/v1/builds`,
    kubeconfig,
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  operator = spawn(process.execPath, [PROGRAM, 'operator', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [operator.stdout, operator.stderr]) stream?.on('data', (text) => (said += String(text)));
  const limit = { timeout: 60_000, interval: 100 };
  await vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${http}/readyz`)).status, said).toBe(200), limit);

  const session = await new PollAgent(https).hello(key);
  await session.take('desired');
  await session.ask([{ type: 'report', seq: 1, state: machineState({ attempt: attempt('Confirming') }) }]);
  await session.take('ack');
  await vi.waitFor(
    () => expect(api.get(leases, 'floe-system/floe-operator')?.spec?.holderIdentity).toBe('floe-0'),
    limit,
  );
  const exit = once(operator, 'exit');
  operator.kill('SIGTERM');
  while (session.closed === undefined) await session.ask([], { wait: 5 });
  expect(session.closed.code).toBe(CLOSE.restart);

  // Somebody else may lead already, and this one still answers.
  await vi.waitFor(
    () => expect(api.get(leases, 'floe-system/floe-operator')?.spec?.holderIdentity).not.toBe('floe-0'),
    limit,
  );
  const asking = await new PollAgent(https).hello(key, { purpose: 'confirm' });
  await asking.ask([{ type: 'confirm', attempt: desired().id, closure: NEW }]);
  expect(await asking.take('confirmed')).toEqual({ type: 'confirmed', attempt: desired().id });
  const { status } = api.get(nixMachines, 'shop/web-01') ?? {};
  api.seed(nixMachines, machine({ ...status, attempt: attempt('Committed') }, { identity: { sshHostKey: key.line } }));
  expect((await exit)[0], said).toBe(0);
}, 120_000);
