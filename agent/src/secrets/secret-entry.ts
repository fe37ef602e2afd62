// One entry of the hub's list against this machine: who the file is for, and whether a content is the one that is meant.
import { createHmac } from 'node:crypto';
import type { SecretsMessage } from '@floe/crds/secrets';
import type { Accounts } from './accounts.ts';
import type { Access } from './secret-folder.ts';

export type Entry = SecretsMessage['entries'][number];

/** The digest of a content under the salt of a list, hex. */
export function digestOf(content: Buffer, salt: string): string {
  return createHmac('sha256', Buffer.from(salt, 'base64')).update(content).digest('hex');
}

/** Who the file is for, or why that can't be. */
export function accessOf({ owner, group, mode }: Entry, accounts: Accounts): Access | string {
  const uid = accounts.user(owner);
  if (uid === undefined) return `there is no user ${owner} on the machine; correct owner, or add users.users.${owner}`;
  const gid = accounts.group(group);
  if (gid === undefined)
    return `there is no group ${group} on the machine; correct group, or add users.groups.${group}`;
  return { uid, gid, mode: Number.parseInt(mode, 8) };
}

export function sameAccess(one: Access, other: Access): boolean {
  return one.uid === other.uid && one.gid === other.gid && one.mode === other.mode;
}
