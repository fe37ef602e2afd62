// What switch-to-configuration does with a unit whose file changed; the rules of its present, Rust, version.

/** `keep`: it goes on as it is, and the switch says so. */
export type UnitAction = 'none' | 'reload' | 'restart' | 'keep' | 'start' | 'stop';

type Sections = Map<string, Map<string, string[]>>;

/** Settings of [Unit] that change nothing about what runs. */
const IGNORED: ReadonlySet<string> = new Set([
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

/** Kinds of units that are not restarted by themselves; targets are only ever started. */
const PASSIVE = /\.(slice|path|socket|target)$/;

/** What happens to an active unit; undefined: its file was not there, or is there no more. */
export function unitAction(name: string, before: string | undefined, after: string | undefined): UnitAction {
  if (before === undefined) return after === undefined ? 'none' : 'start';
  const old = parse(before);
  if (after === undefined) return flag(old, 'Unit', 'X-StopOnRemoval', true) ? 'stop' : 'keep';
  const next = parse(after);
  const kind = compare(name, old, next);
  if (kind !== 'restart') return kind;
  if (PASSIVE.test(name)) return 'none';
  if (flag(next, 'Service', 'X-ReloadIfChanged', false)) return 'reload';
  const left =
    !flag(next, 'Service', 'X-RestartIfChanged', true) ||
    flag(next, 'Unit', 'RefuseManualStop', false) ||
    flag(next, 'Unit', 'X-OnlyManualStart', false);
  return left ? 'keep' : 'restart';
}

/** Whether what differs between two texts matters, and whether a reload does. */
function compare(name: string, before: Sections, after: Sections): 'none' | 'reload' | 'restart' {
  const changed = [...new Set([...before.keys(), ...after.keys()])].flatMap((section) =>
    changedKeys(before.get(section), after.get(section)).map((key) => ({ section, key })),
  );
  const matters = changed.filter(
    ({ section, key }) => section !== 'Install' && !(section === 'Unit' && IGNORED.has(key)),
  );
  if (matters.length === 0) return 'none';
  return matters.every(({ section, key }) => isReload(name, section, key)) ? 'reload' : 'restart';
}

type Settings = ReadonlyMap<string, readonly string[]>;
const EMPTY: Settings = new Map();

function changedKeys(before: Settings = EMPTY, after: Settings = EMPTY): string[] {
  const text = (settings: Settings, key: string) => (settings.get(key) ?? []).join('\n');
  return [...new Set([...before.keys(), ...after.keys()])].filter((key) => text(before, key) !== text(after, key));
}

function isReload(name: string, section: string, key: string): boolean {
  return (
    (section === 'Unit' && key === 'X-Reload-Triggers') ||
    (section === 'Service' && key === 'ExecReload') ||
    (section === 'Mount' && key === 'Options' && name.endsWith('.mount'))
  );
}

/** A setting that is on or off, in the section or in [Unit]: modules write X- settings into both. */
function flag(sections: Sections, section: string, key: string, fallback: boolean): boolean {
  const values = sections.get(section)?.get(key) ?? sections.get('Unit')?.get(key);
  const value = values?.at(-1);
  return value === undefined ? fallback : ['1', 'yes', 'true', 'on'].includes(value.toLowerCase());
}

function parse(text: string): Sections {
  const sections: Sections = new Map();
  let current = new Map<string, string[]>();
  for (const line of text.replace(/\\\n/g, ' ').split('\n')) {
    const bare = line.trim();
    if (bare === '' || bare.startsWith('#') || bare.startsWith(';')) continue;
    const header = /^\[(.+)\]$/.exec(bare)?.[1];
    if (header !== undefined) {
      current = sections.get(header) ?? new Map<string, string[]>();
      sections.set(header, current);
      continue;
    }
    const equals = bare.indexOf('=');
    const key = bare.slice(0, equals < 0 ? undefined : equals).trim();
    const value = equals < 0 ? '' : bare.slice(equals + 1).trim();
    // An empty value takes back what was set before, as for systemd.
    current.set(key, value === '' ? [] : [...(current.get(key) ?? []), value]);
  }
  return sections;
}
