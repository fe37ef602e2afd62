// What differs between two NixOS systems for who runs them: units, and whether a reboot is due.
import type { StoreFiles } from './cache-files.ts';
import type { Node } from './nar.ts';
import { type UnitAction, type UnitChange, unitChange } from './unit-change.ts';

export type SystemDifference = {
  /** Names of units by what happens to them where they are active. */
  readonly units: Readonly<Record<Exclude<UnitAction, 'none'>, readonly string[]>>;
  /** Parts that only a reboot brings; undefined: it can't be told. */
  readonly reboot: readonly string[] | undefined;
  /** What could not be compared, and why. */
  readonly unknown: readonly string[];
};

/** Parts of a system that only a boot reads. */
const BOOT_PARTS = ['kernel', 'initrd', 'kernel-modules', 'kernel-params'] as const;
const LINKS = 16;

/** Compares two toplevels. */
export async function systemDifference(before: string, after: string, files: StoreFiles): Promise<SystemDifference> {
  const unknown: string[] = [];
  const reboot = await rebootParts([before, after], files, unknown);
  const [old, next] = [await unitFolder(before, files), await unitFolder(after, files)];
  if (typeof old === 'string' || typeof next === 'string') {
    unknown.push(`units: ${typeof old === 'string' ? old : next}`);
    return { units: { restart: [], reload: [], start: [], stop: [], keep: [] }, reboot, unknown };
  }
  const { units, whys } = await changedUnits(old, next, files);
  const lost = [...whys].map(([why, names]) => `${names.length} units, ${names.slice(0, 3).join(', ')}: ${why}`);
  return { units, reboot, unknown: [...unknown, ...lost] };
}

/** What happens to each unit; `whys`: those that can't be compared, by the reason. */
async function changedUnits(
  old: Units,
  next: Units,
  files: StoreFiles,
): Promise<{ units: Record<Exclude<UnitAction, 'none'>, string[]>; whys: Map<string, string[]> }> {
  const units: Record<Exclude<UnitAction, 'none'>, string[]> = {
    restart: [],
    reload: [],
    start: [],
    stop: [],
    keep: [],
  };
  const whys = new Map<string, string[]>();
  const wanted = new Set([...next].flatMap(([name, node]) => (isWants(name) ? [...entriesOf(node).keys()] : [])));
  const names = [...old.keys(), ...next.keys()].map((name) => name.replace(INSTANCE_FOLDER, '$1'));
  for (const name of [...new Set(names)].filter((one) => UNIT.test(one)).sort()) {
    const change = await changeOf(name, [old, next], files);
    if ('why' in change) {
      whys.set(change.why, [...(whys.get(change.why) ?? []), name]);
      continue;
    }
    for (const [action, unit] of effectsOf(name, change, [old, next])) {
      const isCalled = action !== 'start' || wanted.has(unit);
      if (isCalled && !units[action].includes(unit)) units[action].push(unit);
    }
  }
  for (const list of Object.values(units)) list.sort();
  return { units, whys };
}

type Effect = readonly [Exclude<UnitAction, 'none'>, string];

/** What a change does to the unit and to its sockets. Those of the old system are taken for active, as the unit is. */
function effectsOf(name: string, { action, sockets, leftToSockets }: UnitChange, [old, next]: Pair): Effect[] {
  if (action === 'none') return [];
  const kept = sockets.filter((socket) => next.has(socket));
  const restarts = kept.filter((socket) => old.has(socket)).map((socket): Effect => ['restart', socket]);
  return [...restarts, [leftToSockets && kept.length > 0 ? 'stop' : action, name]];
}

/** Names of units; folders of wants and drop-ins are none. */
const UNIT = /\.(service|socket|target|timer|path|mount|automount|swap|slice|scope|device)$/;
/** The drop-ins of an instance: it has no file of its own. */
const INSTANCE_FOLDER = /^([^@]+@.+)\.d$/;
const isWants = (name: string): boolean => /\.(wants|requires|upholds)$/.test(name);
const entriesOf = (node: Node): ReadonlyMap<string, Node> => (node.type === 'directory' ? node.entries : new Map());

async function rebootParts(
  systems: readonly string[],
  files: StoreFiles,
  unknown: string[],
): Promise<string[] | undefined> {
  const trees = await Promise.all(systems.map((system) => files.tree(system)));
  const [old, next] = trees.map((tree) => (tree.ok ? entriesOf(tree.root) : undefined));
  for (const tree of trees) if (!tree.ok) unknown.push(`reboot: ${tree.why}`);
  if (old === undefined || next === undefined) return undefined;
  return BOOT_PARTS.filter((part) => said(old.get(part)) !== said(next.get(part)));
}

/** A link by its target, a file by what it says. */
function said(node: Node | undefined): string {
  if (node === undefined || node.type === 'directory') return '';
  return node.type === 'symlink' ? node.target : node.contents.toString('utf8').trim();
}

type Units = ReadonlyMap<string, Node>;
/** Units of the old system and of the new one. */
type Pair = readonly [Units, Units];

/** The folder etc/systemd/system of a toplevel, or why it can't be had. */
async function unitFolder(system: string, files: StoreFiles): Promise<Units | string> {
  const found = await follow(`${system}/etc/systemd/system`, files);
  if ('why' in found) return found.why;
  return found.node.type === 'directory' ? found.node.entries : 'etc/systemd/system is no folder';
}

/** Files that a unit is made of, in their order: of an instance without a file of its own, those of its template first. */
function partsOf(name: string, units: Units, isInstance: boolean): readonly (Node | undefined)[] {
  const dropIns = (unit: string) =>
    [...entriesOf(units.get(`${unit}.d`) ?? NONE)]
      .filter(([file, node]) => file.endsWith('.conf') && said(node) !== MASKED)
      .map(([, node]) => node);
  if (!isInstance) return [units.get(name), ...dropIns(name)];
  const template = `${name.slice(0, name.indexOf('@') + 1)}${name.slice(name.lastIndexOf('.'))}`;
  return [units.get(template), ...dropIns(template), ...dropIns(name)];
}

async function changeOf(name: string, pair: Pair, files: StoreFiles): Promise<UnitChange | { readonly why: string }> {
  const isInstance = /@[^.]/.test(name) && pair.every((units) => !units.has(name));
  const [old, next] = pair.map((units) => partsOf(name, units, isInstance));
  const key = (parts: readonly (Node | undefined)[] = []) => parts.map(said).join('\n');
  if (key(old) === key(next)) return { action: 'none', sockets: [], leftToSockets: false };
  const [before, after] = await Promise.all([old ?? [], next ?? []].map((parts) => textOf(parts, files)));
  if (typeof before === 'object') return before;
  if (typeof after === 'object') return after;
  return unitChange(name, before, isInstance && isUnmanaged(name, pair) ? undefined : after);
}

/** Whether the old system has drop-ins of the instance and the new one none: it is gone, though its template is there. */
function isUnmanaged(name: string, [old, next]: Pair): boolean {
  const own = (units: Units) =>
    [...entriesOf(units.get(`${name}.d`) ?? NONE).values()].filter((node) => said(node) !== MASKED).length;
  return own(old) > 0 && own(next) === 0;
}

const MASKED = '/dev/null';
const NONE: Node = { type: 'directory', entries: new Map() };

/** The text of a unit and its drop-ins; undefined: there is none, or it is masked. */
async function textOf(
  [unit, ...dropIns]: readonly (Node | undefined)[],
  files: StoreFiles,
): Promise<string | undefined | { readonly why: string }> {
  if (unit === undefined || said(unit) === MASKED) return undefined;
  const texts: string[] = [];
  for (const node of [unit, ...dropIns]) {
    const found = node?.type === 'symlink' ? await follow(node.target, files) : { node };
    if ('why' in found) return found;
    if (found.node?.type === 'regular') texts.push(found.node.contents.toString('utf8'));
  }
  return texts.join('\n');
}

/** The node at an absolute path of the store, links followed. */
async function follow(
  path: string,
  files: StoreFiles,
  links = LINKS,
): Promise<{ readonly node: Node } | { readonly why: string }> {
  const match = /^(\/nix\/store\/[^/]+)(?:\/(.*))?$/.exec(path);
  if (match === null || links === 0) return { why: `${path} leads out of the store` };
  const [, root = '', rest = ''] = match;
  const tree = await files.tree(root);
  if (!tree.ok) return { why: tree.why };
  let node: Node | undefined = tree.root;
  const steps = rest.split('/').filter((step) => step !== '');
  for (const [i, step] of steps.entries()) {
    if (node?.type === 'symlink') break;
    node = node?.type === 'directory' ? node.entries.get(step) : undefined;
    if (node?.type === 'symlink') {
      const here = `${root}/${steps.slice(0, i).join('/')}`;
      return follow([resolveLink(here, node.target), ...steps.slice(i + 1)].join('/'), files, links - 1);
    }
  }
  if (node?.type === 'symlink') return follow([resolveLink(root, node.target), ...steps].join('/'), files, links - 1);
  return node === undefined ? { why: `${path} is not there` } : { node };
}

/** Where a link leads that lies in a folder. */
function resolveLink(folder: string, target: string): string {
  return target.startsWith('/') ? target : new URL(target, `file://${folder}/`).pathname;
}
