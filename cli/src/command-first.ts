// Flags before the command, as people are used to from kubectl: `-n fleet get rollout web`.
import { clusterFlags } from './cluster.ts';

const SHORT = /^-n(.*)$/;
const LONG = new RegExp(`^--(${Object.keys(clusterFlags).join('|')})(=.*)?$`);

/** The arguments with the flags that choose cluster and namespace moved behind the command; all others stay in place. */
export function commandFirst(argv: readonly string[]): string[] {
  let at = 0;
  while (at < argv.length) {
    const argument = argv[at] ?? '';
    const value = SHORT.exec(argument)?.[1] ?? LONG.exec(argument)?.[2];
    if (value === undefined && !SHORT.test(argument) && !LONG.test(argument)) break;
    at += value === undefined || value === '' ? 2 : 1;
  }
  const command = argv[at];
  return command === undefined ? [...argv] : [command, ...argv.slice(0, at), ...argv.slice(at + 1)];
}
