// Checks the URL and the refs of a git source before any program sees them.
import type { NixConfigSpec } from '@floe/crds/nix-config';
import type { Problem } from './source.ts';

export type GitSource = NonNullable<NixConfigSpec['source']['git']>;

const URL_FIELD = 'spec.source.git.url';

function invalid(field: string, message: string, remedy: string): Problem {
  return { reason: 'InvalidSpec', field, message, remedy, transient: false };
}

/** What is wrong with a git source as text; undefined when it may be handed to git. */
export function checkGitSource(git: GitSource): Problem | undefined {
  return checkUrl(git.url) ?? checkRef(git) ?? checkFolder(git.path);
}

function checkUrl(text: string): Problem | undefined {
  const shown = JSON.stringify(text);
  if (!URL.canParse(text))
    return invalid(URL_FIELD, `${shown} is not a URL`, 'give https://host/path or ssh://git@host/path');
  const url = new URL(text);
  if (!['https:', 'http:', 'ssh:', 'file:'].includes(url.protocol)) {
    return invalid(URL_FIELD, `git can't be asked over ${url.protocol}//`, 'use https://, ssh:// or file://');
  }
  if (url.password !== '') {
    return invalid(
      URL_FIELD,
      'holds a password that everyone can read',
      'put it into a Secret and name that in secretRef',
    );
  }
  if (url.search !== '' || url.hash !== '') {
    return invalid(URL_FIELD, 'holds "?" or "#"', 'use spec.source.git.ref and spec.source.git.path');
  }
  // A host or user that begins with "-" would be an option to ssh.
  if (url.hostname.startsWith('-') || decodeURIComponent(url.username).startsWith('-')) {
    return invalid(URL_FIELD, `${shown} has a host or user that begins with "-"`, 'give the real name');
  }
  return undefined;
}

/** The rules of `git check-ref-format`, so that a ref is never a pattern, an option or a revision expression. */
export function isRefName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: git forbids them in refs
  if (name === '' || name === '@' || /[\x00-\x20\x7f~^:?*[\\]/.test(name)) return false;
  if (name.startsWith('-') || name.endsWith('.') || name.includes('..') || name.includes('@{')) return false;
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'));
}

function checkRef({ ref }: GitSource): Problem | undefined {
  for (const kind of ['branch', 'tag'] as const) {
    const name = ref?.[kind];
    if (name !== undefined && !isRefName(name)) {
      return invalid(
        `spec.source.git.ref.${kind}`,
        `${JSON.stringify(name)} can't name a ${kind}`,
        `give the name of one ${kind}`,
      );
    }
  }
  const commit = ref?.commit;
  if (commit !== undefined && !/^[0-9a-f]{40}$/.test(commit)) {
    return invalid(
      'spec.source.git.ref.commit',
      `${JSON.stringify(commit)} is no commit`,
      'give all its 40 hex digits',
    );
  }
  return undefined;
}

function checkFolder(path: string | undefined): Problem | undefined {
  const parts = (path ?? '').split('/');
  if (path === undefined || (!path.startsWith('/') && !path.includes('\0') && !parts.includes('..'))) return undefined;
  return invalid(
    'spec.source.git.path',
    `${JSON.stringify(path)} leaves the repository`,
    'give a folder relative to its root',
  );
}
