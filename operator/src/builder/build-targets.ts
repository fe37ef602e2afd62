// Builds a list of derivations in one go and says for each that failed which derivation is to blame.
import { BuildLog, type DerivationFailure } from './build-log.ts';
import type { ContainerContext } from './fetch.ts';
import { failureText, type Nix } from './nix.ts';
import { Progress } from './progress.ts';

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

/** Builds all targets, going on past failures. */
export async function buildAll(
  nix: Nix,
  targets: readonly BuildTarget[],
  context: ContainerContext,
): Promise<{ failures: Map<string, TargetFailure>; builtDerivations: number }> {
  const { signal } = context;
  const log = new BuildLog();
  const progress = new Progress('Building', context.output);
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
  const failures = new Map<string, TargetFailure>();
  if (ended.code === 0) return { failures, builtDerivations: log.builtDerivations };
  const invalid = await invalidPaths(
    nix,
    targets.map((target) => target.path),
    signal,
  );
  const blamed = await blame(nix, log.failures, signal);
  for (const target of targets) {
    if (!invalid.has(target.path)) continue;
    failures.set(target.path, blamed.get(target.derivation) ?? log.generalError ?? failureText(ended));
  }
  return { failures, builtDerivations: log.builtDerivations };
}
