// Builds a list of derivations in one go and says for each that failed which derivation is to blame.
import { BuildLog, type DerivationFailure } from './build-log.ts';
import { failureText, type Nix } from './nix.ts';
import type { Progress } from './progress.ts';

/** A derivation with the output that is wanted, and the output's path. */
export type BuildTarget = { readonly derivation: string; readonly output: string; readonly path: string };

/** Why an output is not there, in plain words. */
export type TargetFailure = string;

/** The Job's own limit ends a build long before. */
const BUILD_SECONDS = 7 * 24 * 3600;
const QUERY_SECONDS = 600;
/** Failures whose dependants are looked up; the rest is told in general words. */
const MAX_BLAMED = 50;

/** The paths among these that the store does not have. */
async function invalidPaths(nix: Nix, paths: readonly string[], signal: AbortSignal): Promise<Set<string>> {
  const text = await nix.output(
    {
      args: ['path-info', '--json', '--stdin'],
      input: paths.join('\n'),
      doing: 'looking at what was built',
      timeoutSeconds: QUERY_SECONDS,
    },
    { signal },
  );
  const known = JSON.parse(text) as Record<string, unknown>;
  return new Set(paths.filter((path) => (known[path] ?? null) === null));
}

/** For each failed derivation, everything that needs it. */
async function blame(
  nix: Nix,
  failures: readonly DerivationFailure[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const blamed = new Map<string, string>();
  for (const { derivation, message } of failures.slice(0, MAX_BLAMED)) {
    const ended = await nix.run(
      {
        program: 'nix-store',
        args: ['--query', '--referrers-closure', derivation],
        doing: 'looking for what needs it',
        timeoutSeconds: QUERY_SECONDS,
      },
      { signal },
    );
    for (const path of [derivation, ...ended.stdout.split('\n')]) if (!blamed.has(path)) blamed.set(path, message);
  }
  return blamed;
}

/** How one run of `nix build` went: what is still missing, why as far as it is known, and what it said in general. */
export type RunOutcome = {
  readonly missing: readonly BuildTarget[];
  /** Failure by derivation of a target. */
  readonly blamed: ReadonlyMap<string, TargetFailure>;
  readonly general: string;
};

/** The port that runs `nix build` over these targets. */
export type RunBuilds = (targets: readonly BuildTarget[]) => Promise<RunOutcome>;

/** After so many runs the rest gets the general error: each run costs seconds. */
const MAX_RUNS = 40;

/** What to build next, given what a run of `tried` targets left without a cause; empty: nothing helps. */
function nextTries(tried: number, rest: readonly BuildTarget[]): (readonly BuildTarget[])[] {
  if (rest.length < tried) return [rest];
  if (rest.length === 1) return [];
  const middle = Math.ceil(rest.length / 2);
  return [rest.slice(0, middle), rest.slice(middle)];
}

/**
 * Builds all targets. Some errors end Nix at once, whatever else there is to build (a system that no builder has,
 * for instance): then the rest is built without the culprits, and where none is known, in halves.
 * @returns failures by output path
 */
export async function buildPastFailures(
  targets: readonly BuildTarget[],
  run: RunBuilds,
): Promise<Map<string, TargetFailure>> {
  const failures = new Map<string, TargetFailure>();
  const waiting: (readonly BuildTarget[])[] = [targets];
  let runs = 0;
  for (let some = waiting.shift(); some !== undefined; some = waiting.shift()) {
    const { missing, blamed, general } = await run(some);
    runs += 1;
    const rest: BuildTarget[] = [];
    for (const target of missing) {
      const failure = blamed.get(target.derivation);
      if (failure === undefined) rest.push(target);
      else failures.set(target.path, failure);
    }
    const isHopeless = runs >= MAX_RUNS || /no space left|disk quota/i.test(general);
    const tries = rest.length === 0 || isHopeless ? [] : nextTries(some.length, rest);
    waiting.push(...tries);
    if (tries.length === 0) for (const target of rest) failures.set(target.path, general);
  }
  return failures;
}

/** One run of `nix build`, going on past failures of derivations. */
async function runOnce(
  nix: Nix,
  targets: readonly BuildTarget[],
  to: { log: BuildLog; progress: Progress; signal: AbortSignal },
): Promise<RunOutcome> {
  const { log, progress, signal } = to;
  log.nextRun();
  const ended = await nix.run(
    {
      args: ['build', '--no-link', '--keep-going', '--stdin'],
      input: targets.map((target) => `${target.derivation}^${target.output}`).join('\n'),
      doing: 'the build',
      timeoutSeconds: BUILD_SECONDS,
      onEvent: (event) => {
        const line = log.add(event);
        if (line !== undefined) progress.line(line);
        progress.set(log.progress);
      },
    },
    { signal },
  );
  progress.flush();
  if (ended.code === 0) return { missing: [], blamed: new Map(), general: '' };
  const paths = targets.map((target) => target.path);
  const invalid = await invalidPaths(nix, paths, signal);
  return {
    missing: targets.filter((target) => invalid.has(target.path)),
    blamed: await blame(nix, log.failures, signal),
    general: log.generalError ?? failureText(ended),
  };
}

/** Builds all targets, going on past failures. */
export async function buildAll(
  nix: Nix,
  targets: readonly BuildTarget[],
  options: { progress: Progress; signal: AbortSignal },
): Promise<{ failures: Map<string, TargetFailure>; builtDerivations: number }> {
  const log = new BuildLog();
  const to = { log, ...options };
  const failures = await buildPastFailures(targets, async (some) => runOnce(nix, some, to));
  return { failures, builtDerivations: log.builtDerivations };
}
