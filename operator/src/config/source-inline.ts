// Resolves an inline source: its files are its content.
import { posix } from 'node:path';
import { shortHash } from './canonical.ts';
import type { Resolution } from './source.ts';

const FIELD = 'spec.source.inline.files';

/** The content hash of the files; a path that leaves the flake's folder is refused. */
export function resolveInline(files: Readonly<Record<string, string>>): Resolution {
  for (const path of Object.keys(files)) {
    if (!isPlainPath(path)) {
      const message = `${JSON.stringify(path)} is not a path inside the flake`;
      const remedy = 'use relative paths without "..", such as hosts/web.nix';
      return { kind: 'problem', problem: { reason: 'InvalidSpec', field: FIELD, message, remedy, transient: false } };
    }
  }
  const hash = shortHash(files, 40);
  return {
    kind: 'resolved',
    source: {
      identity: { type: 'inline', hash },
      display: `inline@${hash.slice(0, 7)}`,
      locked: undefined,
      request: { kind: 'inline', files },
    },
  };
}

/** Whether a path names a file below the folder that it is relative to. */
export function isPlainPath(path: string): boolean {
  if (path === '' || path.includes('\0') || path.includes('\\') || posix.isAbsolute(path)) return false;
  const normal = posix.normalize(path);
  return normal === path && normal !== '.' && normal.split('/')[0] !== '..';
}
