// The difference that a rollout makes, as people read it.
import { shortRevision } from '@floe/operator/conditions/spoken';
import { table } from '../table.ts';
import type { PackageChange } from './closure-difference.ts';
import type { Difference, Pairs } from './fleet-difference.ts';

/** Packages that are listed of one pair; with `all` every one is. */
const LISTED = 40;

export function diffText(
  rollout: string,
  { revision, same, notBuilt }: Pairs,
  { differences, left, all }: { differences: readonly Difference[]; left: number; all: boolean },
): string {
  const head = `Rollout ${rollout}   ${revision === undefined ? 'no revision yet' : shortRevision(revision)}`;
  const rest = [
    ...(left > 0 ? [`${left} more pairs of closures are not compared; --all compares every one`] : []),
    ...(same > 0 ? [`${same} ${same === 1 ? 'machine runs' : 'machines run'} it already`] : []),
    ...notBuilt.slice(0, 10).map(({ machine, message }) => `${machine}: ${message.split('\n')[0]}`),
    ...(notBuilt.length > 10 ? [`and ${notBuilt.length - 10} more without a closure`] : []),
  ];
  const nothing = differences.length === 0 && rest.length === 0 ? ['nothing changes on any machine'] : [];
  return [head, ...differences.flatMap((difference) => pairText(difference, all)), ...rest, ...nothing].join('\n');
}

function pairText({ machines, from, to, closure, system, unknown }: Difference, all: boolean): string[] {
  const named = machines.slice(0, 5).join(', ');
  const who = machines.length > 5 ? `${named} and ${machines.length - 5} more` : named;
  const lines = [`${who}   ${shortPath(from)} -> ${shortPath(to)}`];
  if (closure !== undefined) {
    const { fetch, bytes, packages, rebuilt } = closure;
    lines.push(`  fetches ${size(fetch.bytes)} in ${fetch.paths} paths; the closure changes by ${signed(bytes)}`);
    const shown = all ? packages : packages.slice(0, LISTED);
    const rows = shown.map((change) => ['   ', change.name, versionsOf(change), signed(change.bytes)]);
    if (rows.length > 0) lines.push(table(rows));
    if (packages.length > shown.length)
      lines.push(`    and ${packages.length - shown.length} more packages; see --all`);
    if (rebuilt > 0) lines.push(`    ${rebuilt} ${rebuilt === 1 ? 'path' : 'paths'} of the same versions built anew`);
  }
  if (system !== undefined) lines.push(...unitLines(system.units), rebootLine(system.reboot));
  return [...lines, ...unknown.map((what) => `  not known: ${what}`), ''];
}

const VERBS = [
  ['restart', 'restarts'],
  ['reload', 'reloads'],
  ['stop', 'stops'],
  ['start', 'starts'],
  ['keep', 'leaves as they run'],
] as const;

function unitLines(units: NonNullable<Difference['system']>['units']): string[] {
  return VERBS.flatMap(([action, verb]) =>
    units[action].length === 0 ? [] : [`  ${verb} ${units[action].join(', ')}`],
  );
}

function rebootLine(reboot: readonly string[] | undefined): string {
  if (reboot === undefined) return '  reboot: not known';
  return reboot.length === 0 ? '  no reboot' : `  reboot required: ${reboot.join(', ')}`;
}

function versionsOf({ before, after }: PackageChange): string {
  const said = (versions: readonly string[]) => versions.map((version) => version || '(none)').join(', ');
  const named = (versions: readonly string[]) => versions.filter((version) => version !== '').join(', ');
  if (before.length === 0) return `added ${named(after)}`.trimEnd();
  return after.length === 0 ? `removed ${named(before)}`.trimEnd() : `${said(before)} -> ${said(after)}`;
}

/** `a1b2c3d`: the first digits of the hash of a store path. */
function shortPath(path: string | undefined): string {
  return path?.replace('/nix/store/', '').slice(0, 7) ?? '?';
}

/** `212 MiB`. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes <= 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

function signed(bytes: number): string {
  return `${bytes < 0 ? '-' : '+'}${size(Math.abs(bytes))}`;
}
