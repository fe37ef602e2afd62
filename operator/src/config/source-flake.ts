// Resolves a flake reference with `nix flake metadata`.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseJson } from '@floe/crds/json';
import { fetchWords } from '../nix/fetch-words.ts';
import { type Asked, askProgram, type LookPorts } from './ask-program.ts';
import { shortHash } from './canonical.ts';
import { type SecretValues, sshCommand } from './git-credentials.ts';
import type { Problem, Resolution } from './source.ts';

/** Seconds that the servers of a flake get: its whole source is fetched. */
export const FLAKE_TIMEOUT_SECONDS = 120;

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
    const args = ['flake', 'metadata', '--json', '--no-write-lock-file', '--refresh'];
    args.push('--store', join(folder, 'store'), '--', reference);
    const env = await environment(secret, folder);
    const asked = await askProgram({ program: 'nix', args, env, timeoutSeconds: FLAKE_TIMEOUT_SECONDS }, ports);
    if (asked.kind !== 'answer') return { kind: 'problem', problem: nixProblem(reference, asked) };
    return readMetadata(reference, asked.stdout);
  } finally {
    // Nix makes its store read-only.
    const chmod = { program: 'chmod', args: ['-R', 'u+w', '--', folder], env: { PATH }, timeoutSeconds: 30 };
    await askProgram(chmod, ports).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

const PATH = process.env['PATH'] ?? '/usr/bin:/bin';

/** The whole environment of Nix; credentials lie in files of the private folder. */
async function environment(secret: SecretValues | undefined, folder: string): Promise<Record<string, string>> {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  const ssh = secret?.['identity'] === undefined ? undefined : await sshCommand(secret, folder);
  return {
    PATH,
    HOME: home,
    LC_ALL: 'C',
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:file',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    NIX_CONFIG: await nixConfig(secret, folder),
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
  if (/^[./~]|^path:/.test(reference)) {
    return invalid(`${shown} is a path, which no build Job can see`, 'use spec.source.git or spec.source.inline');
  }
  if (reference.startsWith('-') || /\s/.test(reference)) {
    return invalid(`${shown} is not a flake reference`, 'give one such as github:acme/fleet');
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
async function nixConfig(secret: SecretValues | undefined, folder: string): Promise<string> {
  const lines = ['experimental-features = nix-command flakes', 'use-registries = true', 'accept-flake-config = false'];
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

type Metadata = { url?: unknown; lockedUrl?: unknown; locked?: Record<string, unknown>; locks?: unknown };

function readMetadata(reference: string, stdout: string): Resolution {
  const metadata = parseObject(stdout);
  const locked = metadata?.lockedUrl ?? metadata?.url;
  if (metadata?.locked === undefined || typeof locked !== 'string' || locked.length > 2048) {
    const message = `nix flake metadata gave no locked reference for ${JSON.stringify(reference)}`;
    return { kind: 'problem', problem: { reason: 'SourceFailed', field: FIELD, message, transient: true } };
  }
  // The same content may be reached by other refs, and Nix adds what it only remembers.
  const { lastModified: _, ref: _ref, revCount: _count, __final: _final, ...content } = metadata.locked;
  const digest = metadata.locked['rev'] ?? metadata.locked['narHash'];
  const short = typeof digest === 'string' ? digest.replace(/^sha256-/, '').slice(0, 7) : '';
  return {
    kind: 'resolved',
    source: {
      identity: { type: 'flake', content, locks: shortHash(metadata.locks ?? null, 40) },
      display: `${shortName(reference)}@${short}`,
      locked,
      request: { kind: 'flake', ref: locked },
    },
  };
}

/** `acme/fleet` of `github:acme/fleet?dir=x`, `fleet` of `git+https://host/acme/fleet.git?ref=main`. */
function shortName(reference: string): string {
  const bare = (reference.split('?', 1)[0] ?? '').replace(/(?<!\/)\/+$/, '');
  const name = bare.includes('://') ? (bare.split('/').at(-1) ?? bare) : bare.replace(/^[a-z+]+:/, '');
  return name.replace(/\.git$/, '').slice(0, 200);
}

function parseObject(text: string): Metadata | undefined {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null ? (value as Metadata) : undefined;
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
