// Resolves a flake reference with `nix flake prefetch`: the source alone, none of its inputs.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJson } from '@floe/crds/json';
import { isStorePath } from '@floe/crds/nix-fingerprint';
import { fetchWords } from '../nix/fetch-words.ts';
import { lockFault } from '../nix/flake-lock.ts';
import { flakeUrl, isSourceAttributes } from '../nix/flake-url.ts';
import { localInput } from '../nix/local-input.ts';
import { isLocalReference } from '../nix/local-reference.ts';
import { sourceLock } from '../nix/source-lock.ts';
import { type Asked, askProgram, type LookPorts } from './ask-program.ts';
import { type SecretValues, sshCommand } from './git-credentials.ts';
import type { Problem, Resolution } from './source.ts';

/** Seconds that the server of a flake gets: its whole source is fetched. */
export const FLAKE_TIMEOUT_SECONDS = 120;
/** Nix takes 100 MiB, and what it unpacks goes to the disk; what it would hold in memory instead ends here. */
const FLAKE_MEMORY_BYTES = 384 << 20;

const FIELD = 'spec.source.flake';

/**
 * What a flake reference means now. Each look has a store of its own that is removed afterwards, so that nothing
 * grows and no tenant can read from a cache what only another one has credentials for.
 */
export async function resolveFlake(
  reference: string,
  secret: SecretValues | undefined,
  ports: LookPorts,
): Promise<Resolution> {
  const wrong = checkReference(reference);
  if (wrong !== undefined) return { kind: 'problem', problem: wrong };
  const folder = await mkdtemp(join(ports.workDir ?? tmpdir(), 'floe-flake-'));
  try {
    const store = join(folder, 'store');
    const args = ['flake', 'prefetch', '--json', '--refresh', '--store', store, '--', reference];
    const env = await environment(reference, secret, folder);
    const limits = { timeoutSeconds: FLAKE_TIMEOUT_SECONDS, memoryBytes: FLAKE_MEMORY_BYTES };
    const asked = await askProgram({ program: 'nix', args, env, ...limits }, ports);
    if (asked.kind !== 'answer') return { kind: 'problem', problem: nixProblem(reference, asked) };
    return await readFetched(reference, asked.stdout, store);
  } finally {
    // Nix makes its store read-only.
    const args = ['-R', 'u+w', '--', folder];
    const chmod = { program: 'chmod', args, env: { PATH }, timeoutSeconds: 30, memoryBytes: FLAKE_MEMORY_BYTES };
    await askProgram(chmod, ports).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

const PATH = process.env['PATH'] ?? '/usr/bin:/bin';

/** The whole environment of Nix; credentials lie in files of the private folder. */
async function environment(
  reference: string,
  secret: SecretValues | undefined,
  folder: string,
): Promise<Record<string, string>> {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  const ssh = secret?.['identity'] === undefined ? undefined : await sshCommand(secret, folder);
  return {
    PATH,
    HOME: home,
    LC_ALL: 'C',
    // Its evaluator would else begin with more than it may have; nothing is evaluated.
    GC_INITIAL_HEAP_SIZE: String(16 << 20),
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:file',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    NIX_CONFIG: await nixConfig(reference, secret, folder),
    ...(typeof ssh === 'string' ? { GIT_SSH_COMMAND: ssh } : {}),
  };
}

function checkReference(reference: string): Problem | undefined {
  const invalid = (message: string, remedy: string): Problem => ({
    reason: 'InvalidSpec',
    field: FIELD,
    message,
    remedy,
    transient: false,
  });
  const shown = JSON.stringify(reference);
  if (isLocalReference(reference)) {
    return invalid(`${shown} is a path, which no build Job can see`, 'use spec.source.git or spec.source.inline');
  }
  if (reference.startsWith('-')) {
    return invalid(`${shown} is not a flake reference`, 'give one such as github:acme/fleet');
  }
  if (/[^\x21-\x7e]/.test(reference)) {
    const encoded = reference.includes(':')
      ? `write ${encodeURI(reference.toWellFormed())}`
      : 'give one such as github:acme/fleet';
    return invalid(`${shown} is not a flake reference: it holds blanks or letters beyond ASCII`, encoded);
  }
  if (reference.includes('#')) {
    return invalid(`${shown} names an output`, 'name the flake alone and the output in spec.attribute');
  }
  if (/^[a-z+]+:\/\/[^/@:]*:[^/@]*@/.test(reference)) {
    return invalid('holds a password that everyone can read', 'put it into the Secret of inputsSecretRef');
  }
  return undefined;
}

/** The settings of Nix; credentials lie in files of the private folder. */
async function nixConfig(reference: string, secret: SecretValues | undefined, folder: string): Promise<string> {
  const lines = ['experimental-features = nix-command flakes', 'use-registries = true', 'accept-flake-config = false'];
  // Nix reads the registry for every reference, also for one that needs none, and a cluster may have no way to it.
  if (/^(?!flake:)[a-z][a-z0-9+.-]*:/i.test(reference)) lines.push('flake-registry =');
  if (secret?.['netrc'] !== undefined) {
    const file = join(folder, 'netrc');
    await writeFile(file, secret['netrc'], { mode: 0o600 });
    lines.push(`netrc-file = ${file}`);
  }
  const tokens = (secret?.['access-tokens'] ?? '')
    .split('\n')
    .map((line) => line.replace(/^\s*(extra-)?access-tokens\s*=/, ''));
  const words = tokens.join(' ').trim();
  // On one line, so that the Secret can set nothing else.
  if (words !== '') lines.push(`access-tokens = ${words.replaceAll(/\s+/g, ' ')}`);
  return lines.join('\n');
}

/** What Nix fetched, as a resolved source. The lock that lies in it is looked at before any Job fetches what it names. */
async function readFetched(reference: string, stdout: string, store: string): Promise<Resolution> {
  const { locked, storePath } = (parseJson(stdout) ?? {}) as Record<string, unknown>;
  const sourceFailed = (message: string, more: Partial<Problem> = {}): Resolution => ({
    kind: 'problem',
    problem: { reason: 'SourceFailed', field: FIELD, message, transient: true, ...more },
  });
  const url = isSourceAttributes(locked) ? flakeUrl(locked, { keepRef: true }) : '';
  if (!isSourceAttributes(locked) || typeof storePath !== 'string' || !isStorePath(storePath) || url.length > 2048) {
    return sourceFailed(`nix flake prefetch gave no locked reference for ${JSON.stringify(reference)}`);
  }
  // A server may answer with another address than the one it was asked at.
  if (isLocalReference(url)) return sourceFailed(`${reference} leads to ${url}, a path that no build Job can see`);
  const lock = await sourceLock(join(store, storePath, String(locked['dir'] ?? '')));
  const fault = lock === undefined ? undefined : lockFault(lock);
  if (fault !== undefined) return sourceFailed(`${reference}: ${fault.message}`, { remedy: fault.remedy });
  const local = lock === undefined ? undefined : localInput(lock, undefined);
  if (local !== undefined) {
    return sourceFailed(`${reference}: the input ${local.name} is ${local.path}, a path of the computer that builds`, {
      remedy: 'give a path within the repository (path:./folder), or an address that is the same from everywhere',
    });
  }
  // The same content may be reached by other refs, and Nix adds what it only remembers.
  const { lastModified: _, ref: _ref, revCount: _count, __final: _final, ...content } = locked;
  const digest = locked['rev'] ?? locked['narHash'];
  const short = typeof digest === 'string' ? digest.replace(/^sha256-/, '').slice(0, 7) : '';
  return {
    kind: 'resolved',
    source: {
      identity: { type: 'flake', content },
      display: `${shortName(reference)}@${short}`,
      locked: url,
      request: { kind: 'flake', ref: url },
    },
  };
}

/** `acme/fleet` of `github:acme/fleet?dir=x`, `fleet` of `git+https://host/acme/fleet.git?ref=main`. */
function shortName(reference: string): string {
  const bare = (reference.split('?', 1)[0] ?? '').replace(/(?<!\/)\/+$/, '');
  const name = bare.includes('://') ? (bare.split('/').at(-1) ?? bare) : bare.replace(/^[a-z+]+:/, '');
  return name.replace(/\.git$/, '').slice(0, 200);
}

function nixProblem(reference: string, asked: Exclude<Asked, { kind: 'answer' }>): Problem {
  const base = { reason: 'SourceFailed', field: FIELD, transient: true };
  switch (asked.kind) {
    case 'timeout':
      return {
        ...base,
        message: `${reference} could not be fetched within ${FLAKE_TIMEOUT_SECONDS} s`,
        remedy: 'it is tried again by itself',
      };
    case 'not-run':
      return { ...base, message: asked.message, remedy: 'use the image of Floe for the operator' };
    case 'words': {
      const { cause, error, remedy } = fetchWords(asked.stderr, reference);
      const field = cause === 'Credentials' || cause === 'HostKey' ? 'spec.source.inputsSecretRef' : FIELD;
      return { ...base, field, message: error, remedy: cause === 'Other' ? 'correct the reference' : remedy };
    }
  }
}
