// A unit file as switch-to-configuration reads it: sections, and the values of each setting in their order.

/** Values by setting; an empty list: it is set, and to nothing. */
export type Settings = ReadonlyMap<string, readonly string[]>;
export type Sections = ReadonlyMap<string, Settings>;

/** Parses a unit and its drop-ins, joined. [Install] says nothing of what runs and is left out. */
export function parseUnit(text: string): Sections {
  const sections = new Map<string, Map<string, string[]>>();
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
    const value = equals < 0 ? '' : unquoted(bare.slice(equals + 1).trim());
    // An empty value takes back what was set before, as for systemd.
    current.set(key, value === '' ? [] : [...(current.get(key) ?? []), value]);
  }
  sections.delete('Install');
  return sections;
}

/** Quotes that a value begins with are no part of it; those further on are. */
function unquoted(value: string): string {
  const [quote = ''] = value;
  const end = quote === '"' || quote === "'" ? value.indexOf(quote, 1) : -1;
  return end < 0 ? value : value.slice(1, end) + value.slice(end + 1);
}

/** A setting that is on or off: by its last value, in exactly this letter case. What is anything else is off. */
export function flag(sections: Sections, section: string, key: string, fallback: boolean): boolean {
  const value = sections.get(section)?.get(key)?.at(-1);
  return value === undefined ? fallback : ['1', 'yes', 'true', 'on'].includes(value);
}
