// What went wrong with a fetch, in a few words out of all that Nix says.
import { type CommandResult, complaintOf } from '../machine/command.ts';

/** Where the cache is at fault and not the machine. */
const FILL_AGAIN = 'the annotation floe.dev/retry on the NixConfig has it built and uploaded again';

/** The reason of a failed fetch: the cache that is out of reach, else the path that no cache has, else Nix' own error. */
export function nixComplaint(result: CommandResult): string {
  const { stderr } = result;
  const downloads = [
    ...stderr.matchAll(/unable to (?:download|check)[^'\n]{0,100}'([^'\n]{1,500})': ([^;\n]{1,500})/g),
  ];
  const [, url, reason] = downloads.at(-1) ?? [];
  if (url !== undefined && reason !== undefined) return `${url} can't be downloaded: ${reason.trim().slice(0, 300)}`;
  const lacking = /file '([^'\n]{1,300})' does not exist in binary cache '([^'\n]{1,500})'/.exec(stderr);
  if (lacking !== null) return `${lacking[2]} describes a path and lacks its file ${lacking[1]}: ${FILL_AGAIN}`;
  const damaged = /(hash mismatch importing path '[^'\n]{1,300}')/.exec(stderr)?.[1];
  if (damaged !== undefined)
    return `${damaged}: the cache holds other content than was signed; delete its narinfo and its NAR there, then ${FILL_AGAIN}`;
  const missing = /don't know how to build these paths:\s+(\S+)/.exec(stderr)?.[1];
  if (missing !== undefined) return `no cache has ${missing}`;
  const complaint = complaintOf(result);
  // Where the cause names no path, the one that was begun last is the best hint there is.
  const [, path, cache] = [...stderr.matchAll(/copying path '([^'\n]{1,300})' from '([^'\n]{1,500})'/g)].at(-1) ?? [];
  return path === undefined || complaint.includes('/nix/store/') ? complaint : `${complaint} (${path} from ${cache})`;
}
