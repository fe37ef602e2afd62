// A narinfo: the text file by which a binary cache describes one store path.
import { fingerprint, isStorePath, narinfoHash } from '@floe/crds/nix-fingerprint';
import { STORE_DIR } from './store-path.ts';

/** What Floe reads of a narinfo; `rest` keeps every other line as it was. */
export type Narinfo = {
  readonly storePath: string;
  /** Address of the NAR, relative to the cache. */
  readonly url: string;
  readonly compression: string;
  /** `sha256:<base32>` of the compressed file; undefined when the cache does not say. */
  readonly fileHash: string | undefined;
  /** Bytes of the compressed file; undefined when the cache does not say. */
  readonly fileSize: number | undefined;
  /** `sha256:<base32>`. */
  readonly narHash: string;
  /** Bytes. */
  readonly narSize: number;
  /** Full store paths. */
  readonly references: readonly string[];
  readonly signatures: readonly string[];
  readonly rest: readonly (readonly [string, string])[];
};

/** A narinfo, or which line of it is wrong. */
export type ParsedNarinfo = { ok: true; value: Narinfo } | { ok: false; field: string; message: string };

const KNOWN = new Set([
  'StorePath',
  'URL',
  'Compression',
  'FileHash',
  'FileSize',
  'NarHash',
  'NarSize',
  'References',
  'Sig',
]);

const wrong = (field: string, message: string): ParsedNarinfo => ({ ok: false, field, message });

function splitLines(text: string): [string, string][] | { line: number } {
  const pairs: [string, string][] = [];
  for (const [index, line] of text.replace(/\n$/, '').split('\n').entries()) {
    const match = /^([A-Za-z]+): ?(.*)$/.exec(line);
    if (match === null) return { line: index + 1 };
    pairs.push([match[1] ?? '', match[2] ?? '']);
  }
  return pairs;
}

function size(text: string | undefined): number | undefined {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text ?? '') ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** All fields but `Sig`, or the name of one that stands there twice. */
function fieldsOf(pairs: readonly [string, string][]): Map<string, string> | string {
  const fields = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (name === 'Sig') continue;
    if (fields.has(name)) return name;
    fields.set(name, value);
  }
  return fields;
}

/** A field that may be absent: its value, undefined, or false where it is malformed. */
function optional<T>(text: string | undefined, read: (text: string) => T | undefined): T | undefined | false {
  return text === undefined ? undefined : (read(text) ?? false);
}

/** Reads a narinfo. Each field but `Sig` may stand there once; a hash is SHA-256. */
export function parseNarinfo(text: string): ParsedNarinfo {
  const pairs = splitLines(text);
  if (!Array.isArray(pairs)) return wrong(`line ${pairs.line}`, 'is not of the form "Name: value"');
  const fields = fieldsOf(pairs);
  if (typeof fields === 'string') return wrong(fields, 'stands there twice');
  const storePath = fields.get('StorePath') ?? '';
  if (!isStorePath(storePath)) return wrong('StorePath', 'is missing or no path of /nix/store');
  const url = fields.get('URL') ?? '';
  if (url === '') return wrong('URL', 'is missing');
  const narHash = narinfoHash(fields.get('NarHash') ?? '');
  if (narHash === undefined) return wrong('NarHash', 'is missing or no SHA-256');
  const narSize = size(fields.get('NarSize'));
  if (narSize === undefined) return wrong('NarSize', 'is missing or no number of bytes');
  const fileHash = optional(fields.get('FileHash'), narinfoHash);
  if (fileHash === false) return wrong('FileHash', 'is no SHA-256');
  const fileSize = optional(fields.get('FileSize'), size);
  if (fileSize === false) return wrong('FileSize', 'is no number of bytes');
  const names = (fields.get('References') ?? '').split(' ').filter((name) => name !== '');
  const bad = names.find((name) => !isStorePath(`${STORE_DIR}/${name}`));
  if (bad !== undefined) return wrong('References', `"${bad}" is no name of a store path`);
  const value: Narinfo = {
    storePath,
    url,
    // What Nix means where nothing is said.
    compression: fields.get('Compression') || 'bzip2',
    fileHash,
    fileSize,
    narHash,
    narSize,
    references: names.map((name) => `${STORE_DIR}/${name}`),
    signatures: pairs.filter(([name]) => name === 'Sig').map(([, signature]) => signature),
    rest: pairs.filter(([name]) => !KNOWN.has(name)),
  };
  return { ok: true, value };
}

/** Writes a narinfo as Nix does, one field a line. */
export function printNarinfo(info: Narinfo): string {
  const lines = [
    `StorePath: ${info.storePath}`,
    `URL: ${info.url}`,
    `Compression: ${info.compression}`,
    ...(info.fileHash === undefined ? [] : [`FileHash: ${info.fileHash}`]),
    ...(info.fileSize === undefined ? [] : [`FileSize: ${info.fileSize}`]),
    `NarHash: ${info.narHash}`,
    `NarSize: ${info.narSize}`,
    `References: ${info.references.map((path) => path.slice(STORE_DIR.length + 1)).join(' ')}`,
    ...info.rest.map(([name, value]) => `${name}: ${value}`),
    ...info.signatures.map((signature) => `Sig: ${signature}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** The text that the signatures of a narinfo cover. */
export function narinfoFingerprint(info: Narinfo): string {
  const text = fingerprint({ path: info.storePath, ...info });
  // Every field was checked when it was parsed; only a hand-made Narinfo gets here.
  if (text === undefined) throw new TypeError(`${info.storePath}: malformed narinfo`);
  return text;
}

/** Whether two narinfos describe the same content: all that a signature covers is equal. */
export function sameContent(a: Narinfo, b: Narinfo): boolean {
  return narinfoFingerprint(a) === narinfoFingerprint(b);
}
