// The second container, which holds no secret: evaluates all systems and builds what the cache does not have.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { spokenBytes } from '../conditions/spoken.ts';
import { type Ended, runProgram } from '../nix/process.ts';
import { needAttributeNames } from './attribute.ts';
import { cacheReader } from './binary-cache.ts';
import { type BuildTarget, buildAll, type TargetFailure } from './build-targets.ts';
import { checkClosures } from './closure.ts';
import { type EvaluateRange, evaluateAll } from './evaluate.ts';
import { type Evaluated, parseEvaluated } from './evaluated.ts';
import type { ContainerContext } from './fetch.ts';
import { evaluationBudget, memoryLimit } from './memory.ts';
import { failureText, type Nix, type NixSettings, openNix } from './nix.ts';
import { Progress } from './progress.ts';
import { canSandbox, NO_SANDBOX } from './sandbox.ts';
import { submodulesOf, withSubmodule } from './submodules.ts';
import { type MachineFailure, readLocked, writeWork } from './volume.ts';
import { withUserNames } from './wrapper.ts';

/** One evaluation of the largest chunk on a busy node; the Job's own limit is usually shorter. */
const EVALUATE_SECONDS = 3600;

function nixSettings(context: ContainerContext, sandboxed: boolean): NixSettings {
  const { cache, substituters } = context.request;
  const parallel = String(Math.max(1, availableParallelism()));
  return {
    sandbox: String(sandboxed),
    'sandbox-fallback': 'false',
    // A cache that is down makes the build longer, not wrong.
    fallback: 'true',
    substituters: [cache.substituter, ...substituters.map((other) => other.url)].join(' '),
    'trusted-public-keys': [cache.publicKey, ...substituters.flatMap((other) => other.publicKeys)].join(' '),
    'max-jobs': parallel,
    cores: parallel,
  };
}

/** Traces that are printed in full; a mistake in a shared file would otherwise fill the log. */
const MAX_TRACES = 5;

/** How Nix ends where it gets no more memory. */
function ranOutOfMemory({ code, endedBy, stderr }: Ended): boolean {
  if (code === 0) return false;
  return (
    endedBy === 'SIGKILL' ||
    /out of memory|Cannot allocate memory|std::bad_alloc|Too many heap sections/i.test(stderr.slice(-4096))
  );
}

function needsMemory(bytes: number, limit: number | undefined): string {
  const has = limit === undefined ? 'and the node has no more' : `of the limit of ${spokenBytes(limit)}`;
  return `its evaluation takes more than ${spokenBytes(bytes)}, ${has}; ${limit === undefined ? 'build on a node with more memory (spec.build.nodeSelector)' : 'raise spec.build.resources.limits.memory'}`;
}

function evaluator(nix: Nix, context: ContainerContext, limit: number | undefined): EvaluateRange {
  let traces = 0;
  const told = new Set<string>();
  const flake = `path:${join(context.paths.work, 'eval')}#evaluate`;
  return async (from, to, memoryBytes) => {
    const ended = await nix.run(
      {
        args: ['eval', '--json', '--no-update-lock-file', '--apply', `f: f ${from} ${to}`, flake],
        doing: 'the evaluation',
        timeoutSeconds: EVALUATE_SECONDS,
        memoryBytes,
      },
      { signal: context.signal },
    );
    const { peakBytes = 0 } = ended;
    if (ended.code === 0) return { ...parseEvaluated(ended.stdout, to - from), peakBytes };
    if (ranOutOfMemory(ended)) return { kind: 'out-of-memory', message: needsMemory(memoryBytes, limit), peakBytes };
    traces += to - from === 1 ? 1 : 0;
    if (to - from === 1 && traces <= MAX_TRACES) {
      for (const line of ended.stderr.trimEnd().split('\n')) context.progress.line(line);
    }
    const message = withUserNames(failureText(ended));
    // What is found already is told while the rest goes on.
    if (to - from === 1 && told.size < MAX_TRACES && !told.has(message)) {
      told.add(message);
      context.progress.say(message);
    }
    return { kind: 'failed', message, peakBytes };
  };
}

/** Outputs whose closures lie complete in the cache, so that nothing of them has to be fetched or built. */
async function alreadyThere(paths: readonly string[], context: ContainerContext): Promise<ReadonlySet<string>> {
  const { cache } = context.request;
  const reader = cacheReader(cache.substituter, context.signal);
  if (reader === undefined || paths.length === 0) return new Set();
  try {
    const { problems } = await checkClosures(paths, reader, cache.publicKey);
    return new Set(paths.filter((path) => !problems.has(path)));
  } catch (error) {
    context.signal.throwIfAborted();
    context.progress.line(
      `the cache can't be asked what it has: ${error instanceof Error ? error.message : String(error)}`,
    );
    return new Set();
  } finally {
    await reader.close();
  }
}

/** Machines that share a derivation share one build. */
function targetsOf(evaluated: readonly Evaluated[]): BuildTarget[] {
  const targets = new Map<string, BuildTarget>();
  for (const one of evaluated) if (one.kind === 'derivation') targets.set(`${one.derivation}^${one.output}`, one);
  return [...targets.values()];
}

/** Runs the container `build`. Machines that fail are part of its result; @throws BuildFailure for all else */
export async function runBuild(context: ContainerContext): Promise<void> {
  const { request, paths, progress, signal } = context;
  const building = new Progress('Building', context.output);
  const { source } = await readLocked(paths.work);
  const submodules = await submodulesOf(source);
  const sandboxed = await canSandbox(runProgram, signal);
  if (!sandboxed) progress.say(NO_SANDBOX);
  const nix = await openNix({
    ...context,
    settings: nixSettings(context, sandboxed),
    buildFolder: join(paths.work, 'tmp'),
  });

  const attributes = [...new Set(request.machines.map((machine) => machine.attribute))];
  attributes.forEach(needAttributeNames);
  const limit = await memoryLimit();
  progress.set({ evaluated: 0, total: attributes.length });
  const evaluated = await evaluateAll(attributes.length, {
    size: request.machinesPerEvaluation ?? 1,
    budgetBytes: evaluationBudget(limit),
    processors: Math.max(1, availableParallelism()),
    evaluate: evaluator(nix, context, limit),
    onDone: (done) => progress.set({ evaluated: done }),
  });
  progress.flush();

  const targets = targetsOf(evaluated);
  const there = await alreadyThere(
    targets.map((target) => target.path),
    context,
  );
  const missing = targets.filter((target) => !there.has(target.path));
  progress.line(`${attributes.length} systems, ${targets.length} closures, ${there.size} of them in the cache already`);
  const built =
    missing.length === 0
      ? { failures: new Map<string, TargetFailure>(), builtDerivations: 0 }
      : await buildAll(nix, missing, { progress: building, signal });

  const closures: Record<string, string> = {};
  const failures: Record<string, MachineFailure> = {};
  for (const machine of request.machines) {
    const one = evaluated[attributes.indexOf(machine.attribute)];
    if (one === undefined) continue;
    if (one.kind === 'failed') {
      failures[machine.name] = { stage: 'Evaluation', message: withSubmodule(one.message, submodules).slice(0, 2048) };
      continue;
    }
    const failure = built.failures.get(one.path);
    if (failure === undefined) closures[machine.name] = one.path;
    else failures[machine.name] = { stage: 'Build', message: failure.slice(0, 2048) };
  }
  await writeWork(paths.work, 'built.json', {
    closures,
    failures,
    builtDerivations: built.builtDerivations,
    sandboxed,
  });
  building.say(`${Object.keys(closures).length} of ${request.machines.length} machines have a closure`);
}
