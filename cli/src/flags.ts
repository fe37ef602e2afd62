// Reads the flags of a command.
import { InputError } from './input-error.ts';

export type FlagKind = 'text' | 'flag';

export type Flags = {
  readonly text: (name: string) => string | undefined;
  readonly flag: (name: string) => boolean;
  /** Arguments that are no flags. */
  readonly rest: readonly string[];
};

/**
 * Reads `--name value`, `--name=value`, `--flag` and short forms. Throws InputError for flags that are not known, come
 * twice, or lack their value.
 */
export function readFlags(
  argv: readonly string[],
  known: Readonly<Record<string, FlagKind>>,
  short: Readonly<Record<string, string>> = {},
): Flags {
  const texts = new Map<string, string>();
  const set = new Set<string>();
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] ?? '';
    const { name, value } = split(arg, short);
    if (name === undefined) {
      rest.push(arg);
      continue;
    }
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw new InputError({ error: `${arg} is not known`, field: arg, remedy: 'see --help' });
    if (texts.has(name))
      throw new InputError({ error: `--${name} is given twice`, field: `--${name}`, remedy: 'give it once' });
    if (kind === 'flag') {
      set.add(name);
      continue;
    }
    const given = value ?? argv[++i];
    if (given === undefined)
      throw new InputError({ error: `--${name} needs a value`, field: `--${name}`, remedy: `give --${name} VALUE` });
    texts.set(name, given);
  }
  return { text: (name) => texts.get(name), flag: (name) => set.has(name), rest };
}

function split(arg: string, short: Readonly<Record<string, string>>): { name?: string; value?: string } {
  if (arg.startsWith('--') && arg.length > 2) {
    const equals = arg.indexOf('=');
    return equals < 0 ? { name: arg.slice(2) } : { name: arg.slice(2, equals), value: arg.slice(equals + 1) };
  }
  if (arg.startsWith('-') && arg.length > 1) {
    const name = short[arg.slice(1, 2)];
    if (name === undefined) return { name: arg.replace(/^-+/, '') };
    return arg.length > 2 ? { name, value: arg.slice(2) } : { name };
  }
  return {};
}
