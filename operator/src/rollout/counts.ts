// The machines of a rollout, counted.
import type { Counts } from '@floe/crds/rollout';
import type { Member } from './standing.ts';

/** Counts machines; `updated`, `updating`, `failed`, `pending` and `notBuilt` add up to `total`. */
export function countsOf(members: readonly Member[], unavailable: number): Counts {
  const counts: Counts = {
    total: members.length,
    updated: 0,
    updating: 0,
    failed: 0,
    offline: 0,
    pending: 0,
    unavailable,
    notBuilt: 0,
    pendingReboot: 0,
  };
  for (const { standing, facts } of members) {
    counts[fieldOf(standing.kind)] += 1;
    if (!facts.online) counts.offline += 1;
    if (standing.kind === 'updated' && standing.reboot) counts.pendingReboot += 1;
  }
  return counts;
}

function fieldOf(kind: Member['standing']['kind']): 'updated' | 'updating' | 'failed' | 'pending' | 'notBuilt' {
  switch (kind) {
    case 'updated':
      return 'updated';
    case 'soaking':
    case 'updating':
      return 'updating';
    case 'again':
    case 'failed':
    case 'knownBad':
      return 'failed';
    case 'notBuilt':
      return 'notBuilt';
    default:
      return 'pending';
  }
}
