// Reads the body of a request within a limit of bytes and of time.
import type { IncomingMessage } from 'node:http';

/**
 * The body as text, or undefined where it is larger than `bytes`; no more than that is ever kept. A body that takes
 * longer than `seconds` loses its connection, which rejects.
 */
export async function readBody(
  request: IncomingMessage,
  { bytes, seconds }: { bytes: number; seconds: number },
): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > bytes) return undefined;
  const timer = setTimeout(() => request.destroy(new Error('the body did not arrive in time')), seconds * 1000);
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    // The connection stays usable for the answer, also when the rest is not read.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      length += (chunk as Buffer).length;
      if (length > bytes) return undefined;
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    clearTimeout(timer);
  }
}
