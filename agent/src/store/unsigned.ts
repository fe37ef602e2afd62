// What Nix says of paths that a cache offers without a signature that this machine trusts: one sentence with paths and remedy.
import { type TrustedKeys, trustRemedy } from './trust-remedy.ts';

const IGNORED = /ignoring substitute for '([^']+)' from '([^']+)', as it's not signed by any of the keys/g;
const REFUSED = /lacks a (?:valid )?signature|signed by an? (?:unknown|untrusted) key/;

/** Why the fetch failed, where it failed for want of signatures; undefined where it did not. `stderr` is what Nix said. */
export function unsignedComplaint(closure: string, stderr: string, trusted: TrustedKeys): string | undefined {
  const remedy = trustRemedy(trusted);
  // Said once for each cache, and by each try of Nix.
  const offers = [...new Set([...stderr.matchAll(IGNORED)].map(([, path, cache]) => `${path} from ${cache}`))];
  if (offers.length > 0) {
    const more = offers.length > 3 ? `, and ${offers.length - 3} more` : '';
    return `Not signed by a key that this machine trusts: ${offers.slice(0, 3).join('; ')}${more}. ${remedy}`;
  }
  const said = stderr.split('\n').findLast((line) => REFUSED.test(line));
  if (said === undefined) return undefined;
  return `Nix refuses ${closure}: ${said
    .trim()
    .replace(/^error:\s*/, '')
    .replace(/\.$/, '')
    .slice(0, 500)}. ${remedy}`;
}
