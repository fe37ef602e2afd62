// Why a source or an input could not be fetched, in plain words with a remedy.
import { errorWords, withoutSecrets } from './error-words.ts';
import { lastWords } from './internal-log.ts';

/** Groups of causes, for those who react differently to them. */
export type FetchCause =
  | 'Unreachable'
  | 'Credentials'
  | 'HostKey'
  | 'NotFound'
  | 'NoSuchRevision'
  | 'NotAFlake'
  | 'Certificate'
  | 'Registry'
  | 'Changed'
  | 'DiskFull'
  | 'Other';

/** One reason, as a sentence and with what to do about it. */
export type FetchWords = { readonly cause: FetchCause; readonly error: string; readonly remedy: string };

type Rule = { cause: FetchCause; pattern: RegExp; error: (match: RegExpExecArray) => string; remedy: string };

const CREDENTIALS =
  'give a Secret with username and password (or bearerToken) for https, identity and known_hosts for ssh, netrc or access-tokens for inputs';

/** The first rule that matches decides: the more telling ones stand first. */
const RULES: readonly Rule[] = [
  {
    cause: 'Other',
    pattern: /\bout of memory\b|std::bad_alloc|Cannot allocate memory/i,
    error: () => 'it takes more memory than fetching may take',
    remedy: 'see what it or its inputs name: an answer or a file without end (file:///dev/zero) can be no input',
  },
  {
    cause: 'DiskFull',
    pattern: /No space left on device|Disk quota exceeded/i,
    error: () => 'the volume of the Job is full',
    remedy: 'give the Job more ephemeral storage',
  },
  {
    cause: 'Unreachable',
    pattern: /Could not resolve host(?:name)?:? (?:\(\d+\) Could not resolve host: )?['"]?([^\s'":]+)/i,
    error: (match) => `the host ${match[1]} is not known`,
    remedy: "check the host in the URL, and the cluster's DNS",
  },
  {
    cause: 'Other',
    pattern: /No user exists for uid (\d+)/,
    error: (match) => `ssh does not work for the user id ${match[1]}, which the image does not know`,
    remedy: "let the Job run as the image's own user",
  },
  {
    cause: 'HostKey',
    pattern: /No \S+ host key is known for (\S+)/,
    error: (match) => `known_hosts has no line for ${match[1]}`,
    remedy:
      "put the server's line (as ssh-keyscan prints it, with -p where the port is not 22, once checked) into known_hosts of the Secret",
  },
  {
    cause: 'HostKey',
    pattern: /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i,
    error: () => 'the SSH host key of the server is not the one in known_hosts',
    remedy: "put the server's line (as ssh-keyscan prints it, once checked) into known_hosts of the Secret",
  },
  {
    cause: 'Credentials',
    pattern:
      /Authentication failed|could not read (?:Username|Password)|Permission denied \(|Invalid username or password|HTTP(?: error)?[ :]+40[13]|returned error: 40[13]|terminal prompts disabled|Load key "[^"\n]{0,300}": /i,
    error: () => 'the credentials are missing or refused',
    remedy: CREDENTIALS,
  },
  {
    cause: 'Certificate',
    pattern: /SSL certificate problem: ([^\n]+)|server certificate verification failed/i,
    error: (match) => `the server's certificate is not trusted${match[1] ? `: ${match[1].trim()}` : ''}`,
    remedy: 'use a certificate that the image trusts, or correct the URL',
  },
  {
    cause: 'Certificate',
    pattern: /SSL connect error[^\n]*|TLS connect error[^\n]*|gnutls_handshake\(\) failed[^\n]*/i,
    error: () => 'the server does not speak TLS there',
    remedy: 'check the port, and whether the URL should begin with http://',
  },
  {
    cause: 'Unreachable',
    pattern:
      /(?:Failed to connect to|Couldn't connect to server|connect to host) ?(\S+)?.*|Connection (?:refused|timed out|reset by peer)|No route to host|Network is unreachable|Operation timed out|timed out/i,
    error: (match) => `the server${match[1] ? ` ${match[1]}` : ''} can't be reached`,
    remedy: 'check host and port of the URL, and that the cluster may connect to it',
  },
  {
    cause: 'NotAFlake',
    pattern: /does not contain a '[^']*flake\.nix' file|flake\.nix'? does not exist|could not find a flake\.nix/i,
    error: () => 'there is no flake.nix at that place',
    remedy: 'add one, or say the folder that holds it (spec.source.git.path, or ?dir= in a flake reference)',
  },
  {
    cause: 'Registry',
    pattern: /cannot find flake 'flake:([^']+)' in the flake registries/,
    error: (match) => `the input ${match[1]} has no address`,
    remedy: 'write the whole reference into flake.nix, github:NixOS/nixpkgs/nixos-26.05 for instance, or lock it',
  },
  {
    cause: 'Changed',
    pattern: /(?:NAR )?hash mismatch in (?:input|file|tree)[^\n']{0,100}'([^'\n]{1,500})'/i,
    error: (match) => `${match[1]} has other content than flake.lock says`,
    remedy: 'run nix flake update for this input where the change is meant',
  },
  {
    cause: 'NotFound',
    pattern:
      /Repository not found|repository '[^']*' (?:not found|does not exist)|does not appear to be a git repository|HTTP(?: error)?[ :]+404|returned error: 404|No such file or directory|(?:path|repository) '[^']*' does not exist/i,
    error: () => 'nothing is at that address, or the credentials may not see it',
    remedy: 'check the URL, and the Secret if the source is private',
  },
  {
    cause: 'NoSuchRevision',
    pattern:
      /revspec '([^']+)' not found|couldn't find remote ref (?:refs\/(?:heads|tags)\/)?(\S+)|Remote branch (\S+) not found|[Cc]annot find Git revision '([^']+)'|not our ref ([0-9a-f]+)|bad object ([0-9a-f]+)|unable to find (?:commit|ref) '?([^\s']+)|Could not read ref '?(?:refs\/(?:heads|tags)\/)?([^\s']+)|unadvertised object ([0-9a-f]+)/,
    error: (match) => `the repository has no branch, tag or commit ${match.slice(1).find(Boolean) ?? ''}`.trim(),
    remedy: 'correct the ref, or push it',
  },
  {
    cause: 'Other',
    pattern: /\[json\.exception\.[^\]\n]{1,80}\]/,
    error: () => 'a lock file in it, or an answer of its server, is not JSON',
    remedy: 'see whether a flake.lock holds the marks of an unresolved merge; resolve it and run nix flake lock',
  },
  {
    cause: 'Other',
    pattern: /'([^']*)' is not a valid URL|input '([^']*)' is unsupported|cannot parse flake/i,
    error: (match) => `${match[1] ?? match[2] ?? 'this'} is no flake reference that Nix understands`,
    remedy: 'use a form like github:owner/repo, git+https://host/repo?ref=main or https://host/file.tar.gz',
  },
];

/** Explains what git or Nix wrote while fetching `subject` (a URL or an input's name; shown without passwords). */
export function fetchWords(stderr: string, subject: string): FetchWords {
  // Warnings tell of the cache that Nix keeps, in words that errors use too.
  const lines = lastWords(stderr).split('\n');
  const text = lines.filter((line) => !/^\s*warning:/.test(line)).join('\n');
  const shown = withoutSecrets(subject);
  for (const rule of RULES) {
    const match = rule.pattern.exec(text);
    if (match !== null)
      return { cause: rule.cause, error: `${shown}: ${withoutSecrets(rule.error(match))}`, remedy: rule.remedy };
  }
  const words = errorWords(text);
  return { cause: 'Other', error: `${shown}: ${words.message}`.slice(0, 2000), remedy: 'see the log of the Job' };
}
