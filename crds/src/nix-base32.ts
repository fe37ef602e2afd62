// Nix' own base 32: the alphabet without e, o, u and t, and the bytes read from the end.

const ALPHABET = '0123456789abcdfghijklmnpqrsvwxyz';

/** Characters that `bytes` bytes take in Nix' base 32. */
export function nixBase32Length(bytes: number): number {
  return bytes === 0 ? 0 : Math.floor((bytes * 8 - 1) / 5) + 1;
}

/** Writes bytes as Nix does: 32 bytes of SHA-256 become 52 characters. */
export function toNixBase32(bytes: Uint8Array): string {
  let text = '';
  for (let n = nixBase32Length(bytes.length) - 1; n >= 0; n--) {
    const bit = n * 5;
    const byte = Math.floor(bit / 8);
    const shift = bit % 8;
    const value = ((bytes[byte] ?? 0) >> shift) | ((bytes[byte + 1] ?? 0) << (8 - shift));
    text += ALPHABET[value & 31];
  }
  return text;
}

/** Reads `size` bytes from Nix' base 32; undefined when the text is not exactly that. */
export function fromNixBase32(text: string, size: number): Uint8Array | undefined {
  if (text.length !== nixBase32Length(size)) return undefined;
  const bytes = new Uint8Array(size);
  for (let n = 0; n < text.length; n++) {
    const digit = ALPHABET.indexOf(text[text.length - n - 1] ?? '?');
    if (digit < 0) return undefined;
    const bit = n * 5;
    const byte = Math.floor(bit / 8);
    const shift = bit % 8;
    const wide = digit << shift;
    bytes[byte] = (bytes[byte] ?? 0) | (wide & 255);
    const carry = wide >> 8;
    // Bits past the end have to be zero, or two texts would mean one hash.
    if (carry !== 0 && byte + 1 >= size) return undefined;
    if (byte + 1 < size) bytes[byte + 1] = (bytes[byte + 1] ?? 0) | carry;
  }
  return bytes;
}
