// The strings and numbers of SSH's wire format (RFC 4251, section 5).
import { Buffer } from 'node:buffer';

/** A string: its length in four bytes, then its bytes. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Reads wire format front to back. Its methods throw RangeError where the bytes end too early. */
export class WireReader {
  #rest: Buffer;

  constructor(bytes: Uint8Array) {
    this.#rest = Buffer.from(bytes);
  }

  take(count: number): Buffer {
    if (count > this.#rest.length) throw new RangeError('it ends too early');
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(count);
    return taken;
  }

  number(): number {
    return this.take(4).readUInt32BE();
  }

  string(): Buffer {
    return this.take(this.number());
  }
}
