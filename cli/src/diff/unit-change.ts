// What switch-to-configuration does with a unit whose file changed; the rules of its present, Rust, version.
import { flag, parseUnit, type Sections, type Settings } from './unit-file.ts';

/** `keep`: it goes on as it is, and the switch says so. */
export type UnitAction = 'none' | 'reload' | 'restart' | 'keep' | 'start' | 'stop';

/** What happens to an active unit, and to the sockets that may start it. */
export type UnitChange = {
  readonly action: UnitAction;
  /** Sockets of a service that is stopped and started: those that are active are restarted with it. */
  readonly sockets: readonly string[];
  /** With such a socket in the new system the service is only stopped: the socket starts it when it is asked for. */
  readonly leftToSockets: boolean;
};

/** Settings of [Unit] that change nothing about what runs. A reload trigger that is new or changed asks for a reload. */
const IGNORED: ReadonlySet<string> = new Set([
  'X-Reload-Triggers',
  'Description',
  'Documentation',
  'OnFailure',
  'OnSuccess',
  'OnFailureJobMode',
  'IgnoreOnIsolate',
  'StopWhenUnneeded',
  'RefuseManualStart',
  'RefuseManualStop',
  'AllowIsolate',
  'CollectMode',
  'SourcePath',
]);

/** Kinds of units that are left alone when their file changes; targets are only ever started. */
const PASSIVE = /\.(slice|path|socket|target)$/;
/** Mounts that a running system can't do without. */
const NEVER_UNMOUNTED: ReadonlySet<string> = new Set(['-.mount', 'nix.mount']);

const only = (action: UnitAction): UnitChange => ({ action, sockets: [], leftToSockets: false });

/** What happens to an active unit, from its text with drop-ins; undefined: it was not there, or is gone or masked. */
export function unitChange(name: string, before: string | undefined, after: string | undefined): UnitChange {
  if (before === undefined) return only(after === undefined ? 'none' : 'start');
  const old = parseUnit(before);
  if (after === undefined) return only(flag(old, 'Unit', 'X-StopOnRemoval', true) ? 'stop' : 'keep');
  if (name.endsWith('.target')) return only('none');
  const next = parseUnit(after);
  const kind = compare(old, next);
  return kind === 'restart' ? modified(name, next) : only(kind);
}

/** What happens to a unit that only a restart would bring up to date. */
function modified(name: string, next: Sections): UnitChange {
  if (PASSIVE.test(name)) return only('none');
  if (name.endsWith('.mount')) return only(NEVER_UNMOUNTED.has(name) ? 'reload' : 'restart');
  if (flag(next, 'Service', 'X-ReloadIfChanged', false)) return only('reload');
  const left =
    !flag(next, 'Service', 'X-RestartIfChanged', true) ||
    flag(next, 'Unit', 'RefuseManualStop', false) ||
    flag(next, 'Unit', 'X-OnlyManualStart', false);
  if (left) return only('keep');
  const stopsFirst = name.endsWith('.service') && flag(next, 'Service', 'X-StopIfChanged', true);
  if (!stopsFirst) return only('restart');
  return {
    action: 'restart',
    sockets: socketsOf(name, next),
    leftToSockets: !flag(next, 'Service', 'X-NotSocketActivated', false),
  };
}

/** Sockets= of a service; by default the one of its name, for an instance that of its template. */
function socketsOf(name: string, sections: Sections): string[] {
  const named = sections.get('Service')?.get('Sockets') ?? [];
  const sockets = named.flatMap((value) => value.split(/\s+/)).filter((one) => one !== '');
  const [base = name] = name.replace(/\.service$/, '').split('@');
  return sockets.length > 0 ? sockets : [`${base}.socket`];
}

/** What a difference asks for; the strongest of all counts. */
type Kind = 'none' | 'reload' | 'restart';

function compare(before: Sections, after: Sections): Kind {
  const added = [...after].filter(([section]) => !before.has(section));
  if (added.length > 1) return 'restart';
  const kinds = [
    ...[...before].flatMap(([section, old]) => sectionKinds(section, old, after.get(section))),
    ...added.map(([section, settings]) => addedSection(section, settings)),
  ];
  if (kinds.includes('restart')) return 'restart';
  return kinds.includes('reload') ? 'reload' : 'none';
}

function sectionKinds(section: string, old: Settings, next: Settings | undefined): Kind[] {
  const gone = [...old.keys()].filter((key) => next?.has(key) !== true).map((key) => removed(section, key));
  // A section of its own rules is worth what its settings are; any other is missed as a whole.
  if (next === undefined) return section === 'Unit' || (section === 'Service' && old.size > 0) ? gone : ['restart'];
  const added = [...next.keys()].filter((key) => !old.has(key)).map((key) => addedSetting(section, key));
  const changed = [...old].flatMap(([key, values]) => {
    const now = next.get(key);
    return now === undefined || isSame(values, now) ? [] : [changedSetting(section, key)];
  });
  return [...gone, ...added, ...changed];
}

const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((value, index) => value === other[index]);

/** The process that runs needs no ExecReload, and what can no longer be reloaded is not. */
function removed(section: string, key: string): Kind {
  if (section === 'Unit') return IGNORED.has(key) ? 'none' : 'restart';
  return section === 'Service' && key === 'ExecReload' ? 'none' : 'restart';
}

function addedSetting(section: string, key: string): Kind {
  if (section === 'Unit') return unitSetting(key);
  return section === 'Service' && key === 'ExecReload' ? 'reload' : 'restart';
}

function addedSection(section: string, settings: Settings): Kind {
  const kinds = [...settings.keys()].map((key) => addedSetting(section, key));
  const known = section === 'Unit' || (section === 'Service' && settings.size > 0);
  if (!known || kinds.includes('restart')) return 'restart';
  return kinds.includes('reload') ? 'reload' : 'none';
}

function changedSetting(section: string, key: string): Kind {
  if (section === 'Mount' && key === 'Options') return 'reload';
  return addedSetting(section, key);
}

function unitSetting(key: string): Kind {
  if (key === 'X-Reload-Triggers') return 'reload';
  return IGNORED.has(key) ? 'none' : 'restart';
}
