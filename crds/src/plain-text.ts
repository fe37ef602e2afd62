// Takes out of foreign text what a terminal would obey: sequences that begin with escape, and control characters.

/** Colours and cursor movements (CSI), then every C0 and C1 character but tab and line feed. Each class excludes the next, so that no input is read twice. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const OBEYED = /\u001b\[[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Text of a machine or a build as it may stand in a status, an Event or on a terminal. */
export function plainText(text: string): string {
  return text.replace(OBEYED, '');
}

/** The same for every text within a JSON value, names of fields included. */
export function plainValue<T>(value: T): T {
  return plain(value) as T;
}

function plain(value: unknown): unknown {
  if (typeof value === 'string') return plainText(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [plainText(name), plain(one)]));
}
