// Which flake references name a file of the computer that reads them: its devices, its Secrets, its token.

/**
 * Whether a reference is a path, or a single file by a file:// address, in whatever case and behind whatever transport.
 * A git repository on a shared volume (git+file:) is none: no device and no Secret is a repository.
 */
export function isLocalReference(reference: string): boolean {
  return /^(?:[./~]|path:|(?:(?:file|tarball)\+)?file:)/i.test(reference);
}
