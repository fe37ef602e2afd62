// Whether a narinfo still describes something: a record whose NAR is gone is no record.
import { parseNarinfo } from '../nix/narinfo.ts';
import { narFileOf } from './address.ts';
import type { CacheDirectory } from './directory.ts';

/**
 * Whether the NAR that a stored narinfo names lies there in the size that it says. A volume that was restored, or a copy
 * that was cut off, may have the one without the other. Builds would then skip the path for ever, and machines fail.
 */
export async function hasContent(text: string, namespace: string, directory: CacheDirectory): Promise<boolean> {
  const parsed = parseNarinfo(text);
  const nar = parsed.ok ? narFileOf(parsed.value.url) : undefined;
  // A damaged record is told as such by those that read it.
  if (!parsed.ok || nar === undefined) return true;
  const size = await directory.sizeOf(directory.narPath(namespace, nar.file));
  return size !== undefined && (parsed.value.fileSize === undefined || parsed.value.fileSize === size);
}
