// Resolves a git source to a commit with `git ls-remote`.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FetchCause, fetchWords } from '../nix/fetch-words.ts';
import { type Asked, askProgram, type LookPorts } from './ask-program.ts';
import { gitAccess, type SecretValues } from './git-credentials.ts';
import { checkGitSource, type GitSource } from './git-url.ts';
import type { Problem, Resolution } from './source.ts';

/** Seconds that a git server gets to answer. */
export const GIT_TIMEOUT_SECONDS = 30;
/** A hundred thousand refs take a quarter of it. */
const GIT_MEMORY_BYTES = 128 << 20;

/** The commit that a git source means now. Takes 30 seconds at most. */
export async function resolveGit(
  git: GitSource,
  secret: SecretValues | undefined,
  ports: LookPorts,
): Promise<Resolution> {
  const wrong = checkGitSource(git);
  if (wrong !== undefined) return { kind: 'problem', problem: wrong };
  const { commit } = git.ref ?? {};
  if (commit !== undefined) return resolved(git, { rev: commit, ref: undefined, name: undefined });

  const folder = await mkdtemp(join(ports.workDir ?? tmpdir(), 'floe-git-'));
  try {
    const access = await gitAccess(git.url, secret, folder);
    if (access.kind === 'problem') return access;
    const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...access.env };
    const args = ['ls-remote', '--symref', '--', encodedUrl(git), ...wanted(git)];
    const limits = { timeoutSeconds: GIT_TIMEOUT_SECONDS, memoryBytes: GIT_MEMORY_BYTES };
    const asked = await askProgram({ program: 'git', args, env, ...limits }, ports);
    if (asked.kind !== 'answer') return { kind: 'problem', problem: gitProblem(git, asked) };
    const found = pick(git, asked.stdout);
    return found === undefined ? { kind: 'problem', problem: missingRef(git) } : resolved(git, found);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The URL with escapes for blanks and letters beyond ASCII, which a flake reference can't hold as they are. */
function encodedUrl({ url }: GitSource): string {
  // A parser adds a slash to a bare host, and one to no other URL.
  return /[^\x21-\x7e]/.test(url) ? new URL(url).href : url;
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
  const url = encodedUrl(git);
  const locked = `git+${url}?${query.toString().replaceAll('+', '%20').replaceAll('%2F', '/')}`;
  return {
    kind: 'resolved',
    source: {
      identity: { type: 'git', url, rev, dir },
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

/** The field that a cause points to; others point nowhere: the server is away. */
const FIELDS: Partial<Record<FetchCause, string>> = {
  Credentials: 'spec.source.git.secretRef',
  HostKey: 'spec.source.git.secretRef',
  NotFound: 'spec.source.git.url',
  Certificate: 'spec.source.git.url',
  Unreachable: 'spec.source.git.url',
  Other: 'spec.source.git.url',
};

function gitProblem({ url }: GitSource, asked: Exclude<Asked, { kind: 'answer' }>): Problem {
  const base = { reason: 'SourceFailed', transient: true };
  switch (asked.kind) {
    case 'timeout':
      return { ...base, message: `${url} did not answer within ${GIT_TIMEOUT_SECONDS} s`, remedy: ASKED_AGAIN };
    case 'not-run':
      return { ...base, message: asked.message, remedy: 'use the image of Floe for the operator' };
    case 'words': {
      const { cause, error, remedy } = fetchWords(asked.stderr, url);
      const field = FIELDS[cause];
      return { ...base, ...(field && { field }), message: error, remedy: cause === 'Other' ? ASKED_AGAIN : remedy };
    }
  }
}

const ASKED_AGAIN = 'it is asked again by itself';
