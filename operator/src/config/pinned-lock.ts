// The inputs that a revision was built with: which lock its records hold, for whoever is built into it later.
import type { BuildRequest } from '@floe/crds/build';
import { MAX_LOCK_LENGTH } from '@floe/crds/constants';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { MAX_REQUEST_BYTES, REQUEST_OVERHEAD } from './build-task.ts';

/** Bytes of a request that stay free for machines. */
const ROOM_FOR_MACHINES = 65_536;

/**
 * The lock that the oldest build of these records with a closure was made with; all later ones take the same. Undefined
 * where no record holds one (they are older, or it was too large), and where nothing was built: then nothing binds.
 */
export function pinnedLock(records: readonly ControllerRevision[]): string | undefined {
  const locks = records.flatMap(({ revision, metadata, data }) => {
    const { lock, summary } = data ?? {};
    return lock === undefined || summary === undefined || summary.closures === 0
      ? []
      : [{ lock, revision, name: metadata.name }];
  });
  return locks.toSorted((a, b) => a.revision - b.revision || (a.name < b.name ? -1 : 1))[0]?.lock;
}

/** Whether a lock is small enough for the record, and later for the request of a Job beside everything else. */
export function isLockSmall(lock: string, { source, modules, inputs }: BuildRequest): boolean {
  if (lock.length > MAX_LOCK_LENGTH) return false;
  const rest = Buffer.byteLength(JSON.stringify([lock, source, modules, inputs]));
  return rest + REQUEST_OVERHEAD + ROOM_FOR_MACHINES <= MAX_REQUEST_BYTES;
}
