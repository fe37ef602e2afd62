// Turns mounted Secrets into files and variables that git, ssh and Nix understand; nothing of it is logged.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure } from './failure.ts';
import type { NixSettings } from './nix.ts';
import type { Scratch } from './scratch.ts';

/** What Nix is given so that it may fetch. */
export type Credentials = { readonly settings: NixSettings; readonly variables: Readonly<Record<string, string>> };

/** Content of one Secret, by key. */
export type SecretFiles = Readonly<Record<string, string | undefined>>;

const KEYS = [
  'username',
  'password',
  'bearerToken',
  'identity',
  'known_hosts',
  'netrc',
  'access-tokens',
  'aws-credentials',
];

/** Reads a mounted Secret; a Secret that is not mounted is empty. */
export async function readSecret(folder: string): Promise<SecretFiles> {
  const values: Record<string, string> = {};
  for (const key of KEYS) {
    try {
      const text = await readFile(join(folder, key), 'utf8');
      if (text.trim() !== '') values[key] = text;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')))
        throw error;
    }
  }
  return values;
}

const line = (text: string): string => text.replace(/(?<![\r\n])[\r\n]+$/, '');

function oneLine(text: string, key: string, field: string): string {
  const value = line(text);
  if (/[\r\n]/.test(value)) {
    throw new BuildFailure(`the key ${key} of the Secret holds more than one line`, {
      field,
      remedy: 'store the value alone',
    });
  }
  return value;
}

/** One entry of a netrc file; curl reads quoted values. */
function netrcEntry(host: string, login: string, password: string): string {
  const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  return `machine ${host} login ${quoted(login)} password ${quoted(password)}\n`;
}

/** Origin and host of the server of a flake reference; undefined for github:… and the like, and for files. */
export function serverOf(
  reference: string,
): { origin: string; host: string; user: string; isGit: boolean } | undefined {
  const text = reference.replace(/^(git|tarball|file|hg)\+/, '');
  if (!/^https?:\/\//.test(text)) return undefined;
  try {
    const url = new URL(text);
    return {
      origin: url.origin,
      host: url.hostname,
      user: decodeURIComponent(url.username),
      isGit: /^git\+/.test(reference),
    };
  } catch {
    return undefined;
  }
}

type GitConfig = [string, string][];

const FIELD = 'spec.source.git.secretRef';

async function sourceAccess(
  reference: string,
  secret: SecretFiles,
  to: { scratch: Scratch; git: GitConfig },
): Promise<string> {
  const server = serverOf(reference);
  if (server === undefined) return '';
  const bearer = secret['bearerToken'];
  if (bearer !== undefined) {
    to.git.push([
      `http.${server.origin}/.extraHeader`,
      `Authorization: Bearer ${oneLine(bearer, 'bearerToken', FIELD)}`,
    ]);
    return '';
  }
  const { username, password } = secret;
  if (password === undefined) return '';
  const login = username === undefined ? server.user || 'git' : oneLine(username, 'username', FIELD);
  const word = oneLine(password, 'password', FIELD);
  if (!server.isGit) return netrcEntry(server.host, login, word);
  const url = new URL(server.origin);
  url.username = encodeURIComponent(login);
  url.password = encodeURIComponent(word);
  const file = await to.scratch.secret('git-credentials', `${url.href.replace(/\/$/, '')}\n`);
  to.git.push(['credential.helper', `store --file=${file}`]);
  return '';
}

/** ssh takes the keys of both Secrets, and asks nobody. */
async function sshCommand(source: SecretFiles, inputs: SecretFiles, scratch: Scratch): Promise<string> {
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    'ConnectTimeout=20',
    'GlobalKnownHostsFile=/dev/null',
  ];
  const known = [source['known_hosts'], inputs['known_hosts']]
    .filter((text) => text !== undefined)
    .map((text) => `${line(text)}\n`);
  options.push(`UserKnownHostsFile=${await scratch.secret('known_hosts', known.join(''))}`);
  const keys: string[] = [];
  for (const [name, secret] of [
    ['source', source],
    ['inputs', inputs],
  ] as const) {
    const identity = secret['identity'];
    if (identity !== undefined) keys.push(await scratch.secret(`identity-${name}`, `${line(identity)}\n`));
  }
  return ['ssh -F /dev/null', ...keys.map((key) => `-i ${key}`), ...options.map((option) => `-o ${option}`)].join(' ');
}

function quoteGit(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

/** A gitconfig file: sections with a quoted name, so that an address may stand in it. */
function gitConfigText(entries: GitConfig): string {
  return entries
    .map(([key, value]) => {
      const first = key.indexOf('.');
      const last = key.lastIndexOf('.');
      const section =
        first === last ? key.slice(0, first) : `${key.slice(0, first)} ${quoteGit(key.slice(first + 1, last))}`;
      return `[${section}]\n\t${key.slice(last + 1)} = ${quoteGit(value)}\n`;
    })
    .join('');
}

/** Prepares access to a source and its inputs. `reference` is the source's flake reference, or undefined when it has none. */
export async function fetchCredentials(
  reference: string | undefined,
  secrets: { source: SecretFiles; inputs: SecretFiles },
  scratch: Scratch,
): Promise<Credentials> {
  const git: GitConfig = [
    // A repository on a shared volume belongs to somebody else, which git refuses by itself.
    ['safe.directory', '*'],
    ['protocol.ext.allow', 'never'],
  ];
  const entry = reference === undefined ? '' : await sourceAccess(reference, secrets.source, { scratch, git });
  const netrc = [secrets.inputs['netrc'], secrets.source['netrc'], entry]
    .filter(Boolean)
    .map((text) => `${line(text ?? '')}\n`);
  const netrcFile = await scratch.secret('netrc', netrc.join(''));
  // git's own curl reads ~/.netrc.
  await scratch.secret('home/.netrc', netrc.join(''));
  const tokens = [secrets.inputs['access-tokens'], secrets.source['access-tokens']]
    .filter((text) => text !== undefined)
    .map((text) =>
      line(text)
        .replace(/^\s*(?:extra-)?access-tokens\s*=\s*/, '')
        .replace(/\s+/g, ' '),
    );
  return {
    settings: {
      'netrc-file': netrcFile,
      ...(tokens.length === 0 ? {} : { 'access-tokens': tokens.join(' ') }),
    },
    variables: {
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: await scratch.secret('gitconfig', gitConfigText(git)),
      GIT_TERMINAL_PROMPT: '0',
      GIT_ASKPASS: 'true',
      GIT_SSH_COMMAND: await sshCommand(secrets.source, secrets.inputs, scratch),
    },
  };
}
