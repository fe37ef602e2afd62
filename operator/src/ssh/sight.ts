// Reads what a look at a machine printed: closures, its boot, its clock, and whether an agent runs there.
import type { Seen, Specialisation } from '@floe/agent/attempt/outcome';

export type Sight = {
  readonly seen: Seen;
  /** Attempt that the machine's own timer has undone. */
  readonly rescued?: string;
  /** An agent runs there: it has the say. */
  readonly agentRuns: boolean;
  /** Seconds since the boot. */
  readonly uptime: number;
};

type Lines = { readonly values: ReadonlyMap<string, string>; readonly special: ReadonlyMap<string, Specialisation> };

function read(text: string): Lines {
  const values = new Map<string, string>();
  const special = new Map<string, Specialisation>();
  for (const line of text.split('\n')) {
    const [name = '', ...words] = line.split(' ');
    const [closure = '', of = '', path = ''] = words;
    const value = words.join(' ').trim();
    if (name === 'specialisation') special.set(path, { closure, name: of });
    else if (name !== '' && value !== '') values.set(name, value);
  }
  return { values, special };
}

function seenOf({ values, special }: Lines): Seen {
  const current = values.get('current');
  const booted = values.get('booted');
  const profile = values.get('profile');
  const currentIs = special.get(current ?? '');
  const bootedIs = special.get(booted ?? '');
  return {
    bootId: values.get('boot') ?? 'unknown',
    ...(current === undefined ? {} : { current }),
    ...(booted === undefined ? {} : { booted }),
    // Concluded: the boot loaders are read by the agent alone.
    ...(profile === undefined ? {} : { profile, bootDefault: { closure: profile, verified: false } }),
    ...(currentIs === undefined ? {} : { currentIs }),
    ...(bootedIs === undefined ? {} : { bootedIs }),
  };
}

/** What the script printed; lines that it does not know are left out. */
export function parseSight(text: string): Sight {
  const lines = read(text);
  const { values } = lines;
  const rescued = values.get('rescued');
  return {
    seen: seenOf(lines),
    ...(rescued === undefined ? {} : { rescued }),
    agentRuns: values.get('agent') === 'active',
    uptime: Number(values.get('uptime') ?? 0) || 0,
  };
}
