// What a URL path of the cache means; everything that is not exactly known means nothing.

/** What a request is about. The names hold no slash and no dot-dot, so they are safe as names of files. */
export type Address =
  | { readonly kind: 'info'; readonly namespace: string }
  | { readonly kind: 'narinfo'; readonly namespace: string; readonly hash: string }
  | { readonly kind: 'nar'; readonly namespace: string; readonly fileHash: string; readonly file: string };

const NAMESPACE = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?';
const DIGIT = '[0-9abcdfghijklmnpqrsvwxyz]';
const INFO = new RegExp(`^/(${NAMESPACE})/nix-cache-info$`);
const NARINFO = new RegExp(`^/(${NAMESPACE})/(${DIGIT}{32})\\.narinfo$`);
const NAR = new RegExp(
  `^/(${NAMESPACE})/nar/((${DIGIT}{52})\\.nar(?:\\.(?:zst|xz|bz2|gz|br|lz4|lzip|lz|lzo|lrz|Z|grz))?)$`,
);
const NAR_URL = new RegExp(`^nar/(${DIGIT}{52})\\.nar(?:\\.[A-Za-z0-9]{1,4})?$`);

/**
 * Reads the target of a request, without its query. Nothing is decoded: no valid name needs an escape, so an escape
 * is never an address.
 */
export function parseAddress(target: string): Address | undefined {
  const path = target.split('?', 1)[0] ?? '';
  const info = INFO.exec(path);
  if (info?.[1] !== undefined) return { kind: 'info', namespace: info[1] };
  const narinfo = NARINFO.exec(path);
  if (narinfo?.[1] !== undefined && narinfo[2] !== undefined) {
    return { kind: 'narinfo', namespace: narinfo[1], hash: narinfo[2] };
  }
  const nar = NAR.exec(path);
  if (nar?.[1] !== undefined && nar[2] !== undefined && nar[3] !== undefined) {
    return { kind: 'nar', namespace: nar[1], file: nar[2], fileHash: nar[3] };
  }
  return undefined;
}

/** The file of the `URL:` line of a narinfo and the hash in its name; undefined when it lies elsewhere. */
export function narFileOf(url: string): { file: string; fileHash: string } | undefined {
  const fileHash = NAR_URL.exec(url)?.[1];
  return fileHash === undefined ? undefined : { file: url.slice('nar/'.length), fileHash };
}
