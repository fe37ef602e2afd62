// The entry of the operator's programs, and the only place where their parts are put together.
import { readFile } from 'node:fs/promises';
import { AUDIENCE_BUILDS } from '@floe/crds/constants';
import type { Logger } from 'pino';
import { pino } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { BUILDER_VERBS, isBuilderVerb, runBuilder } from './builder/run.ts';
import { runCache } from './cache/run.ts';
import { cacheFlags, cacheSettings } from './cache/settings.ts';
import { admitReporter } from './config/build-report.ts';
import { startConfigController } from './config/controller.ts';
import { helpText, readFlags, SettingError } from './flags.ts';
import { type RunningHub, startHub } from './hub/start-hub.ts';
import { KubeClient } from './kube/client.ts';
import { CongestionWindow } from './kube/congestion-window.ts';
import { EventRecorder } from './kube/events.ts';
import { isInCluster } from './kube/in-cluster.ts';
import { LeaderElection } from './kube/lease.ts';
import { createKubeMetrics, type KubeMetrics } from './kube/metrics.ts';
import { BoundedTokenReviewer, reviewToken } from './kube/token-review.ts';
import { startMachineController } from './machine/controller.ts';
import { startRolloutController } from './rollout/controller.ts';
import { type OperatorSettings, operatorFlags, operatorSettings } from './settings.ts';
import { startCourier } from './ssh/start-courier.ts';
import { type Watched, watch } from './watched.ts';

/** Exit code of a replica that lost its leadership, so that a fresh one starts. */
const LOST = 1;
const USAGE = 2;

type Root = { readonly log: Logger; readonly signal: AbortSignal; readonly registry: Registry };

/** The signal that ends the process in order: SIGTERM or SIGINT; a second one ends it at once. */
function endSignal(log: Logger): AbortController {
  const root = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (root.signal.aborted) process.exit(LOST);
      log.info({ signal: name }, 'ending');
      root.abort();
    });
  }
  return root;
}

function connect(kubeconfig: string | undefined, metrics?: KubeMetrics): Promise<KubeClient> {
  const options = metrics === undefined ? {} : { metrics };
  if (kubeconfig === undefined && isInCluster()) return KubeClient.inCluster(options);
  return KubeClient.fromKubeConfig({ ...options, file: kubeconfig });
}

function makeRoot(logLevel: string): Root & { readonly end: AbortController } {
  const log = pino({ level: logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const end = endSignal(log);
  return { log, registry, end, signal: end.signal };
}

/** The controllers; they run on the leader alone. */
async function lead(
  settings: OperatorSettings,
  given: Root & {
    readonly client: KubeClient;
    readonly watched: Watched;
    readonly window: CongestionWindow;
    readonly hub: RunningHub;
    readonly events: EventRecorder;
    readonly metrics: KubeMetrics;
  },
): Promise<void> {
  const { client, watched, window, hub, events, log, registry, signal, metrics } = given;
  const { stores } = watched;
  const common = { client, stores, registry, log, events, signal, metrics };
  const reportCa = settings.reportCaFile === undefined ? undefined : await readFile(settings.reportCaFile, 'utf8');
  log.info('this replica decides');
  await Promise.all([
    startConfigController({ ...common, settings: { ...settings, reportCa } }),
    startMachineController(common),
    startRolloutController({ ...common, window, analysisAllowLocal: settings.analysisAllowLocal }),
    startCourier({ ...common, hub, replica: settings.replica }),
  ]);
}

async function operator(argv: readonly string[]): Promise<number> {
  const settings = operatorSettings(argv, process.env);
  const { log, registry, end, signal } = makeRoot(settings.logLevel);
  const metrics = createKubeMetrics(registry);
  const client = await connect(settings.kubeconfig, metrics);
  const events = new EventRecorder({ client, instance: settings.replica, log, metrics });
  const watched = watch({
    client,
    log,
    metrics,
    namespace: settings.watchNamespace,
    ownNamespace: settings.namespace,
  });
  let code = 0;
  // A replica that ends still confirms, out of stores that are up to date.
  const serving = new AbortController();
  const watching = watched.run(serving.signal);
  const recording = events.run(signal);
  const window = new CongestionWindow();
  const tokens = new BoundedTokenReviewer({ review: reviewToken(client), audience: AUDIENCE_BUILDS, signal });
  const hub = await startHub({
    client,
    window,
    stores: { ...watched.stores, isSynced: watched.isSynced },
    settings,
    registry,
    log,
    events,
    buildReport: (token, from) => admitReporter(token, from, { client, tokens, now: () => new Date(), signal }),
    signal,
  });
  // The Lease is given back only when the controllers have ended: two leaders never overlap.
  const election = new AbortController();
  // With connections of its own: no crowd of other requests can stand before a renewal.
  const leaseClient = await connect(settings.kubeconfig);
  const leadership = new LeaderElection({
    client: leaseClient,
    namespace: settings.namespace,
    name: 'floe-operator',
    identity: settings.replica,
    log,
    metrics,
    onLost: () => {
      code = LOST;
      end.abort();
      // What still runs after the abort could act beside the new leader.
      setTimeout(() => process.exit(LOST), 2000).unref();
    },
  });
  const elected = settings.leaderElection ? leadership.run(election.signal) : Promise.resolve();
  const leading = settings.leaderElection ? leadership.leading : Promise.resolve();
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.race([Promise.all([leading, watched.synced]), aborted]);
  if (!signal.aborted) await lead(settings, { client, watched, window, hub, events, log, registry, signal, metrics });
  election.abort();
  await hub.closed;
  serving.abort();
  await Promise.all([elected, watching, recording]);
  await Promise.all([client.close(), leaseClient.close()]);
  return code;
}

async function cache(argv: readonly string[]): Promise<number> {
  const values = readFlags(cacheFlags, argv, process.env);
  const settings = cacheSettings(values);
  const { log, registry, signal } = makeRoot(values.need('log-level'));
  const client = settings.tokenReview ? await connect(values.text('kubeconfig')) : undefined;
  await runCache(settings, { signal, log, registry, ...(client ? { reviewToken: reviewToken(client) } : {}) });
  await client?.close();
  return 0;
}

async function builder(argv: readonly string[]): Promise<number> {
  const [verb] = argv;
  if (!isBuilderVerb(verb)) {
    throw new SettingError(
      'command line',
      `${JSON.stringify(verb ?? '')} is no step`,
      `use one of ${BUILDER_VERBS.join(', ')}`,
    );
  }
  const { signal } = endSignal(pino({ level: 'warn' }));
  const write = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  return runBuilder(verb, { env: process.env, signal, write });
}

const COMMANDS: Readonly<Record<string, { run: (argv: readonly string[]) => Promise<number>; help: () => string }>> = {
  operator: {
    run: operator,
    help: () => helpText('operator', 'controllers, the hub that machines dial, and metrics', operatorFlags),
  },
  cache: { run: cache, help: () => helpText('cache', 'a Nix binary cache over a directory', cacheFlags) },
  builder: { run: builder, help: () => 'floe builder fetch|build|push: one container of a build Job.\n' },
};

/**
 * Runs a program of the operator: `operator`, `cache` or `builder`, with its flags.
 * @returns the exit code: 0 well, 1 failed, 2 a setting is wrong
 */
export async function main(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  const command = COMMANDS[name];
  if (command === undefined) {
    console.error(`floe: ${JSON.stringify(name)} is no program; use one of ${Object.keys(COMMANDS).join(', ')}`);
    return USAGE;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help());
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    if (error instanceof SettingError) {
      console.error(`floe ${name}: ${error.message}`);
      return USAGE;
    }
    console.error(`floe ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return 1;
  }
}
