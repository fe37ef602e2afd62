// Reads a file of certificates that an order or the configuration names: never a device, a pipe, or more than it can be.
import type { Buffer } from 'node:buffer';
import { constants, open } from 'node:fs/promises';

/** A bundle of all public authorities has half of that. */
const MAX_BYTES = 2 ** 20;

/** The content of a regular file of at most 1 MiB. @throws an error that names the file and what is wrong with it */
export async function readCertificateFile(path: string, signal?: AbortSignal): Promise<Buffer> {
  // A pipe that no program writes to would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat().then((found) => {
      if (!found.isFile()) throw new Error(`${path} is no regular file: name a file of PEM certificates`);
      return found;
    });
    if (size > MAX_BYTES) throw new Error(`${path} has ${size} bytes, certificates have at most ${MAX_BYTES}`);
    return await file.readFile(signal === undefined ? {} : { signal });
  } finally {
    await file.close();
  }
}
