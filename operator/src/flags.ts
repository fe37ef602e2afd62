// Command-line flags that may come from the environment too: a table in, typed texts or a clear error out.
import { parseArgs } from 'node:util';

/** One setting. On the command line `--name`, in the environment `env`; the command line wins. */
export type Flag = {
  /** Name without dashes, `cache-url`. */
  readonly name: string;
  /** Environment variable, `FLOE_CACHE_URL`. */
  readonly env: string;
  readonly type: 'string' | 'boolean' | 'integer';
  /** What holds where nothing is said; absent: the setting is empty. */
  readonly default?: string;
  /** What it means, with unit. */
  readonly description: string;
  readonly required?: boolean;
};

/** A setting that can't be used; `field` names it as the person wrote it. */
export class SettingError extends Error {
  readonly field: string;
  readonly remedy: string;
  constructor(field: string, message: string, remedy: string) {
    super(`${field}: ${message}; ${remedy}`);
    this.name = 'SettingError';
    this.field = field;
    this.remedy = remedy;
  }
}

/** The values of all flags, as text; checked for their type. */
export class FlagValues {
  readonly #values: ReadonlyMap<string, string>;
  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  /** Text of a flag, or undefined where it is empty. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === '' ? undefined : value;
  }

  /** Text of a flag that has a default or is required. */
  need(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new SettingError(`--${name}`, 'is not set', `give --${name}`);
    return value;
  }

  integer(name: string): number {
    return Number(this.need(name));
  }

  boolean(name: string): boolean {
    return this.text(name) === 'true';
  }

  /** A flag that holds JSON; `fallback` where it is empty. */
  json(name: string, fallback: unknown): unknown {
    const value = this.text(name);
    if (value === undefined) return fallback;
    try {
      return JSON.parse(value);
    } catch (error) {
      throw new SettingError(`--${name}`, `is not JSON: ${String(error)}`, 'see --help for its form');
    }
  }
}

function checked(flag: Flag, field: string, value: string): string {
  if (flag.type === 'integer' && !/^\d+$/.test(value)) {
    throw new SettingError(field, `${JSON.stringify(value)} is not a number`, 'give a whole number of 0 or more');
  }
  if (flag.type === 'boolean' && value !== 'true' && value !== 'false' && value !== '') {
    throw new SettingError(field, `${JSON.stringify(value)} is neither true nor false`, 'give true or false');
  }
  return value;
}

/**
 * Reads the flags of a sub-command.
 * @throws SettingError that names the flag or variable and what to do
 */
export function readFlags(
  flags: readonly Flag[],
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): FlagValues {
  let given: Record<string, unknown>;
  try {
    const options = Object.fromEntries(
      flags.map((flag) => [flag.name, { type: flag.type === 'boolean' ? ('boolean' as const) : ('string' as const) }]),
    );
    given = parseArgs({ args: [...argv], options, allowPositionals: false, allowNegative: true }).values;
  } catch (error) {
    throw new SettingError('command line', error instanceof Error ? error.message : String(error), 'see --help');
  }
  const values = new Map<string, string>();
  for (const flag of flags) {
    const line = given[flag.name];
    const variable = env[flag.env];
    if (line !== undefined) values.set(flag.name, checked(flag, `--${flag.name}`, String(line)));
    else if (variable !== undefined && variable !== '') values.set(flag.name, checked(flag, flag.env, variable));
    else if (flag.default !== undefined) values.set(flag.name, flag.default);
    else if (flag.required === true) {
      throw new SettingError(`--${flag.name}`, 'is not set', `give --${flag.name} or ${flag.env}: ${flag.description}`);
    }
  }
  return new FlagValues(values);
}

/** The help text of a sub-command. */
export function helpText(command: string, summary: string, flags: readonly Flag[]): string {
  const lines = flags.map((flag) => {
    const value = flag.type === 'boolean' ? '' : flag.type === 'integer' ? ' NUMBER' : ' TEXT';
    const fallback = flag.default === undefined || flag.default === '' ? '' : ` Default ${flag.default}.`;
    return `  --${flag.name}${value}  (${flag.env})\n      ${flag.description}${fallback}`;
  });
  return `floe ${command}: ${summary}\n\nEvery setting is a flag or an environment variable; the flag wins.\n\n${lines.join('\n')}\n`;
}
