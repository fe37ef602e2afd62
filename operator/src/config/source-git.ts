// Resolves a git source to a commit with `git ls-remote`.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gitAccess, type SecretValues } from './git-credentials.ts';
import { checkGitSource, type GitSource } from './git-url.ts';
import type { Run, RunResult } from './process.ts';
import type { Problem, Resolution } from './source.ts';

/** Seconds that a git server gets to answer. */
export const GIT_TIMEOUT_SECONDS = 30;

export type ResolvePorts = { readonly run: Run; readonly workDir?: string; readonly signal: AbortSignal };

/** The commit that a git source means now. Takes 30 seconds at most. */
export async function resolveGit(
  git: GitSource,
  secret: SecretValues | undefined,
  { run, workDir, signal }: ResolvePorts,
): Promise<Resolution> {
  const wrong = checkGitSource(git);
  if (wrong !== undefined) return { kind: 'problem', problem: wrong };
  const { commit } = git.ref ?? {};
  if (commit !== undefined) return resolved(git, { rev: commit, ref: undefined, name: undefined });

  const folder = await mkdtemp(join(workDir ?? tmpdir(), 'floe-git-'));
  try {
    const access = await gitAccess(git.url, secret, folder);
    if (access.kind === 'problem') return access;
    const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...access.env };
    const args = ['ls-remote', '--symref', '--', git.url, ...wanted(git)];
    const result = await run('git', args, { env, timeoutSeconds: GIT_TIMEOUT_SECONDS, signal });
    if (result.kind !== 'exited' || result.code !== 0) return { kind: 'problem', problem: gitProblem(git, result) };
    const found = pick(git, result.stdout);
    return found === undefined ? { kind: 'problem', problem: missingRef(git) } : resolved(git, found);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Refs to ask for; `^{}` is the commit that an annotated tag points to. */
function wanted({ ref }: GitSource): string[] {
  if (ref?.branch !== undefined) return [`refs/heads/${ref.branch}`];
  if (ref?.tag !== undefined) return [`refs/tags/${ref.tag}`, `refs/tags/${ref.tag}^{}`];
  return ['HEAD'];
}

type Found = { rev: string; ref: string | undefined; name: string | undefined };

function pick(git: GitSource, output: string): Found | undefined {
  const revs = new Map<string, string>();
  let head: string | undefined;
  for (const line of output.split('\n')) {
    const [left, right] = line.split('\t');
    if (left === undefined || right === undefined) continue;
    if (left.startsWith('ref: ')) head = right === 'HEAD' ? left.slice(5) : head;
    else if (/^[0-9a-f]{40}$/.test(left)) revs.set(right, left);
  }
  // git matches the ends of names too, so only the exact name counts.
  const names = wanted(git);
  const rev = names
    .toReversed()
    .map((name) => revs.get(name))
    .find((value) => value !== undefined);
  if (rev === undefined) return undefined;
  const asked = git.ref?.branch ?? git.ref?.tag;
  if (asked !== undefined) return { rev, ref: names[0], name: asked };
  return { rev, ref: head, name: head?.replace(/^refs\/heads\//, '') };
}

function resolved(git: GitSource, { rev, ref, name }: Found): Resolution {
  const dir = (git.path ?? '')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  const query = new URLSearchParams();
  if (ref !== undefined) query.set('ref', ref);
  query.set('rev', rev);
  if (dir !== '') query.set('dir', dir);
  query.set('shallow', '1');
  const locked = `git+${git.url}?${query.toString().replaceAll('+', '%20').replaceAll('%2F', '/')}`;
  return {
    kind: 'resolved',
    source: {
      identity: { type: 'git', url: git.url, rev, dir },
      display: name === undefined ? rev.slice(0, 7) : `${name.slice(0, 200)}@${rev.slice(0, 7)}`,
      locked,
      request: { kind: 'flake', ref: locked },
    },
  };
}

function missingRef({ url, ref }: GitSource): Problem {
  const [field, message] =
    ref?.branch !== undefined
      ? ['spec.source.git.ref.branch', `${url} has no branch ${ref.branch}`]
      : ref?.tag !== undefined
        ? ['spec.source.git.ref.tag', `${url} has no tag ${ref.tag}`]
        : ['spec.source.git.url', `${url} has no commit yet`];
  return { reason: 'SourceFailed', field, message, remedy: 'push it, or change the field', transient: true };
}

/** Words of git and ssh, and what they mean; the first that fits counts. */
const CAUSES: readonly [RegExp, (git: GitSource) => Omit<Problem, 'reason' | 'transient'>][] = [
  [
    /Host key verification failed|REMOTE HOST IDENTIFICATION/i,
    ({ url }) => ({
      field: 'spec.source.git.secretRef',
      message: `the host key of ${new URL(url).host} is not the one in known_hosts`,
      remedy: 'compare it with the server and correct known_hosts in the Secret',
    }),
  ],
  [
    /Authentication failed|could not read (Username|Password)|Permission denied|terminal prompts disabled|HTTP.* 40[13]/i,
    ({ url, secretRef }) => ({
      field: 'spec.source.git.secretRef',
      message:
        secretRef === undefined
          ? `${url} asks for credentials`
          : `${url} refuses the credentials of Secret ${secretRef.name}`,
      remedy: secretRef === undefined ? 'name a Secret with them' : 'correct them in the Secret',
    }),
  ],
  [
    /Could not resolve host|Name or service not known|Temporary failure in name resolution/i,
    ({ url }) => ({
      field: 'spec.source.git.url',
      message: `the host ${new URL(url).host} is not known`,
      remedy: 'correct the URL, or look at the DNS of the cluster',
    }),
  ],
  [
    /not found|does not exist|does not appear to be a git repository|No such file/i,
    ({ url }) => ({
      field: 'spec.source.git.url',
      message: `there is no repository at ${url}`,
      remedy: 'correct the URL; a private repository also needs secretRef',
    }),
  ],
  [
    /Connection refused|Connection timed out|No route to host|Connection reset|unreachable|Failed to connect/i,
    ({ url }) => ({ message: `${url} does not answer`, remedy: 'it is asked again by itself' }),
  ],
];

function gitProblem(git: GitSource, result: RunResult): Problem {
  const base = { reason: 'SourceFailed', transient: true };
  switch (result.kind) {
    case 'timeout':
      return {
        ...base,
        message: `${git.url} did not answer within ${GIT_TIMEOUT_SECONDS} s`,
        remedy: 'it is asked again by itself',
      };
    case 'too-much':
      return { ...base, field: 'spec.source.git.url', message: `${git.url} answered with more than 4 MiB of refs` };
    case 'not-started':
      return {
        ...base,
        message: `git could not be started: ${result.message}`,
        remedy: 'use the image of Floe for the operator',
      };
    case 'exited': {
      const cause = CAUSES.find(([words]) => words.test(result.stderr));
      if (cause !== undefined) return { ...base, ...cause[1](git) };
      return { ...base, field: 'spec.source.git.url', message: `git ls-remote failed: ${lastWords(result.stderr)}` };
    }
  }
}

/** The last line that says something, without git's prefix, at most 300 characters. */
export function lastWords(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const fatal = lines.findLast((line) => /^(fatal|error):/.test(line)) ?? lines.findLast((line) => line !== '');
  return (fatal ?? 'no reason given').replace(/^(fatal|error): /, '').slice(0, 300);
}
