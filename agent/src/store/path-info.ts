// Reads what `nix path-info --json` says of store paths, in the forms of Nix 2.8 to 2.33.
import { Buffer } from 'node:buffer';

/** What the store's database knows of one path. */
export type PathInfo = {
  readonly path: string;
  readonly narHash: string;
  readonly narSize: number;
  readonly references: readonly string[];
  readonly signatures: readonly string[];
  /** Content address, for a path that is named by its content. */
  readonly ca?: string;
};

export class PathInfoError extends Error {
  override readonly name = 'PathInfoError';
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];

/** Newer forms name paths without the store's folder. */
const whole = (path: string): string => (path.startsWith('/') ? path : `/nix/store/${path}`);

function hashText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!isFields(value) || value['algorithm'] !== 'sha256' || typeof value['hash'] !== 'string') return undefined;
  switch (value['format']) {
    case 'base16':
    case 'nix32':
      return `sha256:${value['hash']}`;
    case 'base64':
      return `sha256-${value['hash']}`;
    default:
      return undefined;
  }
}

function caText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!isFields(value) || !isFields(value['hash'])) return undefined;
  const hash = value['hash'];
  if (hash['algorithm'] !== 'sha256' || typeof hash['hash'] !== 'string') return undefined;
  const method = { text: 'text:', nar: 'fixed:r:', flat: 'fixed:' }[String(value['method'])];
  if (method === undefined) return undefined;
  const digits = hash['format'] === 'base64' ? Buffer.from(hash['hash'], 'base64').toString('hex') : hash['hash'];
  return `${method}sha256:${digits}`;
}

function pathInfo(path: string, fields: Fields): PathInfo {
  const narHash = hashText(fields['narHash']);
  const narSize = fields['narSize'];
  if (fields['valid'] === false || narHash === undefined || typeof narSize !== 'number') {
    throw new PathInfoError(
      `Nix has no valid record of ${path}: fetch it anew or run nix-store --verify --check-contents`,
    );
  }
  const ca = caText(fields['ca']);
  return {
    path,
    narHash,
    narSize,
    references: strings(fields['references']).map(whole),
    signatures: strings(fields['signatures']),
    ...(ca === undefined ? {} : { ca }),
  };
}

/** Parses the whole answer. Throws PathInfoError where it is none. */
export function parsePathInfos(text: string): PathInfo[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause: unknown) {
    throw new PathInfoError('nix path-info --json did not print JSON', { cause });
  }
  if (Array.isArray(value)) {
    return value.map((fields) => {
      if (!isFields(fields) || typeof fields['path'] !== 'string')
        throw new PathInfoError('nix path-info: an entry has no path');
      return pathInfo(fields['path'], fields);
    });
  }
  if (!isFields(value)) throw new PathInfoError('nix path-info --json printed neither a list nor an object');
  const table = isFields(value['info']) ? value['info'] : value;
  return Object.entries(table).map(([path, fields]) => {
    if (!isFields(fields)) throw new PathInfoError(`Nix has no valid record of ${path}`);
    return pathInfo(whole(path), fields);
  });
}
