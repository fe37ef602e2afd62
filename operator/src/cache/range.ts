// Reads a Range header: which bytes of a file a client wants.

/** Bytes `start` to `end`, both included. */
export type ByteRange = { readonly start: number; readonly end: number };

/** The whole file, a part of it, or a part that the file does not have. */
export type WantedBytes = { kind: 'whole' } | { kind: 'part'; range: ByteRange } | { kind: 'unsatisfiable' };

/** Several ranges and malformed ones mean the whole file, as RFC 9110 allows. */
export function wantedBytes(header: string | undefined, size: number): WantedBytes {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/.exec(header?.replaceAll(' ', '') ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return { kind: 'whole' };
  const first = match[1] === '' ? undefined : Number(match[1]);
  const second = match[2] === '' ? undefined : Number(match[2]);
  if (first === undefined) {
    const length = Math.min(second ?? 0, size);
    return length === 0 ? { kind: 'unsatisfiable' } : { kind: 'part', range: { start: size - length, end: size - 1 } };
  }
  if (second !== undefined && second < first) return { kind: 'whole' };
  if (first >= size) return { kind: 'unsatisfiable' };
  return { kind: 'part', range: { start: first, end: Math.min(second ?? size - 1, size - 1) } };
}
