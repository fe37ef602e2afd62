// A short hash of what an artefact is made from, so that a changed recipe makes a new artefact and nothing else does.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** 12 hex digits over the files' contents and the given texts, in order. */
export async function contentKey(files: readonly string[], ...texts: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = await readFile(file);
    hash.update(`${content.length}\n`).update(content);
  }
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}\n${text}`);
  return hash.digest('hex').slice(0, 12);
}
