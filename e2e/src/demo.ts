// `npm run demo`: five machines, one canary, three revisions, on a real cluster. `--keep` leaves it up, `down` removes it.

import { Cluster } from '../bed/cluster.ts';
import { missingOnHost } from '../bed/ensure-host.ts';
import { KindSite } from '../kind/kind-site.ts';
import { brokenRevision, firstRevision, type Stage, secondRevision } from './acts.ts';
import { Installation, NAMESPACE } from './installation.ts';
import { narrator } from './narrate.ts';
import { choosePlatform, hostFacts, type Platform } from './platform.ts';
import type { Site } from './site.ts';
import { bold, dim, duration, green, red, stepPrinter } from './terminal.ts';

const NAME = 'demo';
const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

const KIND_TIME = 'In kind; the first time Docker pulls Debian and the image of a Kubernetes node, about 1.5 GB';

/** A host on which the demo can run nowhere. */
class NoPlatformError extends Error {
  override readonly name = 'NoPlatformError';
}

async function announce(on: 'local' | 'kind'): Promise<void> {
  const missing = on === 'local' ? await missingOnHost() : [];
  const local =
    missing.length === 0
      ? 'About 2 minutes'
      : 'First run: about 10 minutes, 3 GB in ~/.cache/floe; later runs: 2 minutes';
  const time = on === 'local' ? local : KIND_TIME;
  console.log(`Floe demo: five NixOS-like machines, one canary, three revisions. ${time}.`);
  for (const item of missing) console.log(`  installs ${item}`);
}

async function act(title: string, play: () => Promise<string>): Promise<string> {
  const began = performance.now();
  console.log(`\n${bold(title)}`);
  const result = await play();
  console.log(`  ${green('✔')} ${dim(duration((performance.now() - began) / 1000))}`);
  return result;
}

async function play(floe: Site): Promise<void> {
  const say = (line: string): void => console.log(`  ${line}`);
  const stage: Stage = { floe, say, each: narrator(say) };
  const first = await act('Revision 1 reaches everyone', () => firstRevision(stage));
  const second = await act('Revision 2: a canary first, a pause, then the rest', () => secondRevision(stage, first));
  await act('Revision 3 brings a service that fails: the canary goes back', () => brokenRevision(stage, second));
  console.log(`\nAll five run revision ${second}, read from the machines themselves.\n`);
  console.log(await floe.kubectl('get', 'nixconfigs,nixmachines,rollouts.floe.dev'));
}

async function lookAround(floe: Site): Promise<void> {
  const kubectl = `${await floe.kubectlLine()} -n ${NAMESPACE}`;
  console.log(`The cluster stays. Look around:
  ${kubectl} get nm,nc,nro
  ${kubectl} describe rollout fleet
  ${kubectl} explain nixmachine.spec
Clean up: npm run demo -- down`);
}

async function down(): Promise<void> {
  const facts = await hostFacts();
  if (facts.linux && facts.root) await (await Cluster.open({ name: NAME })).down();
  if (facts.docker === 'runs' && facts.kind) await KindSite.removeAll();
  console.log(
    'The demo is gone. What was downloaded and built stays in the cache; delete ~/.cache/floe to be rid of that, too.',
  );
}

async function platformOf(askedForKind: boolean): Promise<'local' | 'kind'> {
  const platform: Platform = choosePlatform(await hostFacts(), askedForKind);
  if (platform.on !== 'nothing') return platform.on;
  throw new NoPlatformError(`The demo can't run here. What is missing:\n  ${platform.missing.join('\n  ')}`);
}

/** Containers outlive this process: an interrupted demo takes them along. The signal says that it does so already. */
function removeWhenInterrupted(): AbortSignal {
  const interrupted = new AbortController();
  const end = (): void => {
    // A terminal and npm both send the signal.
    if (interrupted.signal.aborted) return;
    interrupted.abort();
    console.log('\nInterrupted; the demo is removed.');
    KindSite.removeAll().then(
      () => process.exit(130),
      (error: unknown) => {
        console.error(`${error}\nRemove the rest: npm run demo -- down`);
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  return interrupted.signal;
}

async function show(floe: Site, keep: boolean): Promise<void> {
  await play(floe);
  if (keep) await lookAround(floe);
  else console.log('Look around: npm run demo -- --keep     Clean up: npm run demo -- down');
}

async function demoInLocalCluster(keep: boolean): Promise<void> {
  const floe = await Installation.create({
    name: NAME,
    machines: MACHINES,
    endsWithParent: !keep,
    onProgress: stepPrinter(),
  });
  try {
    await show(floe, keep);
  } finally {
    if (!keep) await floe.remove();
  }
}

async function demoInKind(keep: boolean): Promise<void> {
  const interrupted = keep ? undefined : removeWhenInterrupted();
  try {
    await show(await KindSite.create({ machines: MACHINES, onProgress: stepPrinter() }), keep);
  } finally {
    if (interrupted?.aborted === false) await KindSite.removeAll();
  }
}

async function demo(askedForKind: boolean, keep: boolean): Promise<void> {
  const on = await platformOf(askedForKind);
  await announce(on);
  await (on === 'local' ? demoInLocalCluster(keep) : demoInKind(keep));
}

const args = process.argv.slice(2);
const unknown = args.filter((argument) => !['down', '--keep', '--kind'].includes(argument));
if (unknown.length > 0) {
  console.error(`demo: ${unknown.join(' ')} is not known; use nothing, --keep, --kind or down`);
  process.exitCode = 2;
} else if (args.includes('down')) {
  await down();
} else {
  const began = performance.now();
  try {
    await demo(args.includes('--kind'), args.includes('--keep'));
    console.log(dim(`Done in ${duration((performance.now() - began) / 1000)}.`));
  } catch (error) {
    console.error(`\n${red('✘')} ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
