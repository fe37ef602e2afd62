// Starts everything that a replica serves: agents, build reports, metrics, probes, and its sign of life.
import { readFile } from 'node:fs/promises';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { specOf } from '../conditions/standing.ts';
import type { KubeClient, MergePatch } from '../kube/client.ts';
import type { CongestionWindow } from '../kube/congestion-window.ts';
import { startDeadline } from '../kube/deadline.ts';
import type { EventRecorder } from '../kube/events.ts';
import { holdLease } from '../kube/hold-lease.ts';
import { parseKey } from '../kube/object.ts';
import { nixMachines } from '../kube/resource.ts';
import type { Store } from '../kube/store.ts';
import { AgentHub } from './agent-hub.ts';
import { type AgentServer, startAgentServer } from './agent-server.ts';
import type { BuildReportHandler } from './build-reports.ts';
import { createHubMetrics } from './hub-metrics.ts';
import { JoinGate } from './join.ts';
import { joinApi } from './join-api.ts';
import type { News } from './news.ts';
import { startPlainServer } from './plain-server.ts';
import { startReportServer } from './report-server.ts';
import { SecretDelivery } from './secret-delivery.ts';
import { secretReader } from './secret-reader.ts';
import { type MachineApi, StatusWriter } from './status-writer.ts';

/** The stores that the hub reads; it writes its own status writes back into `nixMachines`. */
export interface HubStores {
  /** With `machineIndexes` of conditions/indexes.ts. */
  readonly nixMachines: Store<NixMachine>;
  readonly nixConfigs: Store<NixConfig>;
  /** With `recordIndexes` of conditions/indexes.ts. */
  readonly controllerRevisions: Store<ControllerRevision>;
  /** Whether all of them hold a complete list. */
  readonly isSynced: () => boolean;
}

export interface HubSettings {
  /** Namespace of the operator, for the Lease of this replica. */
  readonly namespace: string;
  /** Name of this replica, unique among them: the pod's. */
  readonly replica: string;
  /** 0 takes a free port. */
  readonly httpsPort: number;
  /** Port of build reports; 0 takes a free one. */
  readonly buildsPort: number;
  readonly httpPort: number;
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
  /** Seconds from a disconnect until a machine counts as offline. Default 10. */
  readonly offlineGraceSeconds?: number;
  /** Seconds between pings. Default 20. */
  readonly heartbeatSeconds?: number;
  /** Connections of agents to this replica at most. Default 20,000. */
  readonly maxConnections?: number;
  /**
   * Seconds at most that this replica stays for machines in mid-attempt when it ends; it ends sooner where there are
   * none, or others have them. Default 8.
   */
  readonly drainSeconds?: number;
  /** Seconds between two looks at a Secret that a machine names. Default 30; more where there are many. */
  readonly secretPollSeconds?: number;
}

export interface HubOptions {
  readonly client: KubeClient;
  /** Room among all writes of this process to the API server. */
  readonly window: CongestionWindow;
  readonly stores: HubStores;
  readonly settings: HubSettings;
  readonly registry: Registry;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly buildReport: BuildReportHandler;
  /** Aborted: the hub drains and ends. */
  readonly signal: AbortSignal;
}

export interface RunningHub {
  /** Takes news of machines that are reached otherwise than by their agents. */
  readonly submit: (key: string, news: News) => void;
  /** Reads a machine from the API server itself and brings the store forward; bounded in time. */
  readonly readMachine: (key: string) => Promise<NixMachine>;
  readonly ports: { readonly https: number; readonly builds: number; readonly http: number };
  /** Fulfilled when all is closed, at most some ten seconds after the drain. Until then the stores must be kept up to date. */
  readonly closed: Promise<void>;
}

/** Label of the Leases by which replicas of the hub are known. */
export const HUB_LEASE_LABELS: Readonly<Record<string, string>> = { 'floe.dev/component': 'hub' };
/** Seconds without renewal after which a replica counts as gone. */
const LEASE_SECONDS = 30;
/** Seconds between searches for machines that the status wrongly calls connected here; the first after as long. */
const SWEEP_SECONDS = 90;
/** Seconds between looks at the certificate files: Secrets are renewed in place. */
const CERTIFICATE_SECONDS = 60;
/** Seconds that the last writes get when this replica ends. */
const LAST_WRITES_SECONDS = 8;
/** Seconds that a confirmation waits for the API server before it is left open. */
const READ_SECONDS = 5;

/** Starts the hub. Rejects when a port is taken or the certificate can't be read. */
export async function startHub(options: HubOptions): Promise<RunningHub> {
  const { client, stores, settings, registry, events, signal } = options;
  const log = options.log.child({ component: 'hub' });
  // Writes outlive the signal for as long as the drain takes.
  const writes = new AbortController();
  const api = machineApi(client);
  const writer = new StatusWriter({
    replica: settings.replica,
    api,
    machines: stores.nixMachines,
    records: (machine) =>
      stores.controllerRevisions.by('config', `${machine.metadata.namespace}/${specOf(machine).configRef?.name}`),
    window: options.window,
    log,
    count: (result) => metrics.statusWrites.inc({ result }),
    signal: writes.signal,
  });
  const metrics = createHubMetrics(registry, {
    connections: (transport) => hub.connectionsBy(transport),
    pendingWrites: () => writer.pending,
    machines: () => stores.nixMachines.list(),
  });
  const secrets = new SecretDelivery({
    read: secretReader(client),
    machine: (key) => stores.nixMachines.get(key),
    log,
    signal,
    ...(settings.secretPollSeconds === undefined ? {} : { pollSeconds: settings.secretPollSeconds }),
  });
  const readMachine = (key: string) => readFresh({ api, key, store: stores.nixMachines }, writes.signal);
  const hub: AgentHub = new AgentHub({
    replica: settings.replica,
    machines: stores.nixMachines,
    configs: stores.nixConfigs,
    writer,
    readMachine,
    join: new JoinGate({ api: joinApi(client, writes.signal), now: () => new Date() }),
    isReady: stores.isSynced,
    tell: (machine, reason, message) => events.event(machine, { type: 'Warning', reason, message, action: 'Refuse' }),
    secrets,
    metrics,
    log,
    offlineGraceSeconds: settings.offlineGraceSeconds ?? 10,
    heartbeatSeconds: settings.heartbeatSeconds ?? 20,
  });
  const tls = await readCertificate(settings);
  const server = await startAgentServer({
    tls,
    port: settings.httpsPort,
    hub,
    maxConnections: settings.maxConnections ?? 20_000,
    log,
  });
  const reports = await startReportServer({ tls, port: settings.buildsPort, handler: options.buildReport, log });
  const plain = await startPlainServer({
    port: settings.httpPort,
    registry,
    notReady: () => (signal.aborted ? 'ending' : stores.isSynced() ? undefined : 'the stores are not filled yet'),
  });
  const unsubscribe = [
    stores.nixMachines.subscribe((delta) => hub.machineChanged(delta)),
    stores.nixConfigs.subscribe((delta) => hub.configChanged(delta)),
  ];
  const looking = secrets.run();
  const sweeper = setInterval(() => hub.sweep(), SWEEP_SECONDS * 1000);
  const certificates = setInterval(
    () => void renewCertificate({ settings, servers: [server, reports], tls, log }),
    CERTIFICATE_SECONDS * 1000,
  );
  // Held as long as machines may still be connected here.
  const alive = new AbortController();
  const lease = holdLease({
    client,
    namespace: settings.namespace,
    name: `floe-hub-${settings.replica}`,
    identity: settings.replica,
    labels: { ...HUB_LEASE_LABELS },
    log,
    signal: alive.signal,
    leaseSeconds: LEASE_SECONDS,
  });
  log.info(
    { https: server.port, builds: reports.port, http: plain.port, replica: settings.replica },
    'hub is listening',
  );
  const end = async () => {
    clearInterval(sweeper);
    clearInterval(certificates);
    await hub.drain(settings.drainSeconds ?? 8);
    for (const stop of unsubscribe) stop();
    await writer.drain(AbortSignal.timeout(LAST_WRITES_SECONDS * 1000));
    writes.abort();
    alive.abort();
    await Promise.all([server.close(), reports.close(), plain.close(), lease, looking]);
    log.info('hub is closed');
  };
  const closed = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  }).then(end);
  const submit = (key: string, news: News) => writer.submit(key, news);
  return { submit, readMachine, ports: { https: server.port, builds: reports.port, http: plain.port }, closed };
}

function machineApi(client: KubeClient): MachineApi {
  return {
    get: (key, { signal }) => client.get(nixMachines, parseKey(key), { signal }),
    patchStatus: (key, patch, { signal }) =>
      client.mergePatch(nixMachines, parseKey(key), patch as MergePatch<NixMachine>, { subresource: 'status', signal }),
  };
}

async function readFresh(
  { api, key, store }: { api: MachineApi; key: string; store: Store<NixMachine> },
  parent: AbortSignal,
): Promise<NixMachine> {
  const deadline = startDeadline(parent, READ_SECONDS);
  try {
    const machine = await api.get(key, { signal: deadline.signal });
    store.put(machine);
    return machine;
  } finally {
    deadline[Symbol.dispose]();
  }
}

type Certificate = { cert: string; key: string };

async function readCertificate({ tlsCertFile, tlsKeyFile }: HubSettings): Promise<Certificate> {
  const [cert, key] = await Promise.all([readFile(tlsCertFile, 'utf8'), readFile(tlsKeyFile, 'utf8')]);
  return { cert, key };
}

/** Takes a certificate that was renewed in its files; keeps the old one where the new can't be read. */
async function renewCertificate(given: {
  settings: HubSettings;
  servers: readonly Pick<AgentServer, 'renew'>[];
  tls: Certificate;
  log: Logger;
}): Promise<void> {
  const { settings, servers, tls, log } = given;
  try {
    const fresh = await readCertificate(settings);
    if (fresh.cert === tls.cert && fresh.key === tls.key) return;
    for (const server of servers) server.renew(fresh);
    Object.assign(tls, fresh);
    log.info('took a renewed certificate');
  } catch (error) {
    log.error(
      { err: error, files: [settings.tlsCertFile, settings.tlsKeyFile] },
      'the renewed certificate can not be used; the old one stays',
    );
  }
}
