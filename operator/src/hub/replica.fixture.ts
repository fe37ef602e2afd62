// A replica of the hub for tests: real TLS on loopback, stores that are filled by watches of the given API server.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NixMachine } from '@floe/crds/nix-machine';
import { type Logger, pino } from 'pino';
import { Registry } from 'prom-client';
import { generate } from 'selfsigned';
import { machineIndexes, recordIndexes } from '../conditions/indexes.ts';
import type { KubeClient } from '../kube/client.ts';
import { CongestionWindow } from '../kube/congestion-window.ts';
import { EventRecorder } from '../kube/events.ts';
import { Reflector } from '../kube/reflector.ts';
import { nixMachines } from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import type { BuildReportHandler } from './build-reports.ts';
import { type HubSettings, type RunningHub, startHub } from './start-hub.ts';

export const quietLog: Logger = pino({ level: 'silent' });

/** A certificate for localhost and 127.0.0.1 in a folder of its own. */
export type Certificate = { readonly folder: string; readonly ca: string; remove(): Promise<void> };

export async function makeCertificate(name = 'localhost'): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), 'floe-hub-test-'));
  const pem = await generate([{ name: 'commonName', value: name }], {
    keySize: 2048,
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  await writeFile(join(folder, 'tls.crt'), pem.cert);
  await writeFile(join(folder, 'tls.key'), pem.private);
  return { folder, ca: pem.cert, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Admits every token for its own namespace and answers with what it was sent. */
export const echoReports: BuildReportHandler = (token) =>
  Promise.resolve(
    token === undefined
      ? { kind: 'refused', status: 401, body: { error: 'there is no token' } }
      : {
          kind: 'admitted',
          namespace: token,
          store: (result) => Promise.resolve({ status: 200, body: { result, token } }),
        },
  );

export type TestReplica = RunningHub & {
  readonly machines: Store<NixMachine>;
  readonly registry: Registry;
  /** The signal that ends the replica, as SIGTERM does. */
  readonly end: AbortController;
  stop(): Promise<void>;
  /** The counts of a metric above zero by the values of its labels. */
  counts(metric: string): Promise<Record<string, number>>;
};

/** Starts a replica and waits until its stores are filled. */
export async function startReplica(given: {
  readonly client: KubeClient;
  readonly certificate: Certificate;
  readonly name?: string;
  readonly settings?: Partial<HubSettings>;
}): Promise<TestReplica> {
  const { client, certificate, name = 'floe-0' } = given;
  const end = new AbortController();
  const watches = new AbortController();
  const machines = new Store<NixMachine>({ indexes: machineIndexes });
  const reflector = new Reflector({
    client,
    resource: nixMachines,
    store: machines,
    log: quietLog,
    backoff: { firstSeconds: 0.05, maxSeconds: 0.1 },
  });
  const watching = reflector.run(watches.signal);
  const registry = new Registry();
  const hub = await startHub({
    window: new CongestionWindow(),
    client,
    stores: {
      nixMachines: machines,
      nixConfigs: new Store(),
      controllerRevisions: new Store({ indexes: recordIndexes }),
      isSynced: () => reflector.hasSynced,
    },
    registry,
    events: new EventRecorder({ client, instance: name, log: quietLog }),
    signal: end.signal,
    log: quietLog,
    settings: {
      namespace: 'floe-system',
      replica: name,
      httpsPort: 0,
      buildsPort: 0,
      httpPort: 0,
      tlsCertFile: join(certificate.folder, 'tls.crt'),
      tlsKeyFile: join(certificate.folder, 'tls.key'),
      offlineGraceSeconds: 0.05,
      drainSeconds: 2,
      ...given.settings,
    },
    buildReport: echoReports,
  });
  await reflector.synced;
  const stop = async () => {
    end.abort();
    await hub.closed;
    watches.abort();
    await watching;
  };
  const counts = async (metric: string) => {
    const read = await registry.getSingleMetric(metric)?.get();
    const counted = (read?.values ?? []).filter(({ value }) => value > 0);
    return Object.fromEntries(counted.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
  };
  return { ...hub, machines, registry, end, stop, counts };
}
