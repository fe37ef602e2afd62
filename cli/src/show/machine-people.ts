// What `floe machine` says of people and secrets: whose it is, what its users answered, which files are there.
import type { NixMachine } from '@floe/crds/nix-machine';
import { ago, clockOf } from '../table.ts';

type Rows = readonly (readonly string[])[];

/** Rows of the page; none where there is nothing to say. */
export function people({ spec, status = {} }: NixMachine, now: Date): Rows {
  const owners = spec.owners ?? [];
  return [
    ...(owners.length === 0 ? [] : [['owners', owners.join(', ')]]),
    ...users(status, now),
    ...secrets(status, now),
  ];
}

/** An answer to an older question is of no interest. */
function users({ consent, desired }: NonNullable<NixMachine['status']>, now: Date): Rows {
  if (consent === undefined || consent.desiredId !== desired?.id) return [];
  const since = `${ago(consent.at, now)} ago`;
  switch (consent.state) {
    case 'Approved':
      return [['users', `approved ${since}`]];
    case 'Deferred':
      return [['users', `put off until ${consent.until === undefined ? '-' : clockOf(consent.until, now)}, ${since}`]];
    default:
      return [['users', `asked ${since}`]];
  }
}

function secrets({ secrets: files }: NonNullable<NixMachine['status']>, now: Date): Rows {
  if (files === undefined) return [];
  const changed = files.changedAt === undefined ? '' : `, changed ${ago(files.changedAt, now)} ago`;
  const failed = (files.failed ?? []).map(({ name, message }) => ['', `${name}: ${message}`]);
  return [['secrets', `${files.delivered} of ${files.total} delivered${changed}`], ...failed];
}
