// The variables of queries, URLs and Jobs, and how they are written where they stand.
import { createHash } from 'node:crypto';

/** Machines that a variable names at most; of more, those with the least hash, the same ones each time. */
export const NAMED_MACHINES = 200;

/** What a measurement may speak of. */
export type Variables = {
  readonly revision: string;
  readonly stableRevision: string;
  readonly rollout: string;
  readonly namespace: string;
  /** Machines that the run has updated. */
  readonly machines: readonly string[];
  /** Machines that it has not updated yet and that are online. */
  readonly control: readonly string[];
};

/** In which language a text is. */
export type Place = 'promql' | 'url' | 'text';

/** A regular expression that matches nothing, and no absent label either. */
const NOBODY = '.^';

/**
 * Replaces `{{name}}`. In PromQL lists become a regular expression, elsewhere names with commas; in a URL all is
 * percent-encoded. What is no variable stays.
 */
export function filledIn(text: string, variables: Variables, place: Place): string {
  return text.replaceAll(/\{\{\s*([A-Za-z]+)\s*\}\}/g, (whole, name: string) => {
    const value = isVariable(name) ? variables[name] : undefined;
    if (value === undefined) return whole;
    return typeof value === 'string' ? escaped(value, place) : list(value, place);
  });
}

const NAMES = ['revision', 'stableRevision', 'rollout', 'namespace', 'machines', 'control'] as const;

function isVariable(name: string): name is keyof Variables {
  return (NAMES as readonly string[]).includes(name);
}

function list(names: readonly string[], place: Place): string {
  if (place !== 'promql') return escaped(names.join(','), place);
  return names.length === 0 ? NOBODY : names.map(asPattern).join('|');
}

/** A name of Kubernetes holds no sign with a meaning but the dot; in brackets it needs no backslash, in whatever quotes. */
function asPattern(name: string): string {
  return name.replaceAll(/[^a-z0-9-]/g, (sign) => (sign === '.' ? '[.]' : '.'));
}

function escaped(value: string, place: Place): string {
  return place === 'url' ? encodeURIComponent(value) : value.replaceAll(/[^A-Za-z0-9.,_-]/g, '');
}

/** At most `NAMED_MACHINES` of the names, the same ones whatever their order, sorted. */
export function sampled(names: readonly string[], seed: string): readonly string[] {
  if (names.length <= NAMED_MACHINES) return names.toSorted();
  const hash = (name: string): string => createHash('sha256').update(`${seed}/${name}`).digest('hex');
  return names
    .map((name) => ({ name, rank: hash(name) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, NAMED_MACHINES)
    .map(({ name }) => name)
    .sort();
}

/** The same as environment variables, for Jobs. */
export function environmentOf(variables: Variables): readonly { name: string; value: string }[] {
  return [
    { name: 'FLOE_MACHINES', value: variables.machines.join(',') },
    { name: 'FLOE_CONTROL', value: variables.control.join(',') },
    { name: 'FLOE_REVISION', value: variables.revision },
    { name: 'FLOE_STABLE_REVISION', value: variables.stableRevision },
    { name: 'FLOE_ROLLOUT', value: variables.rollout },
    { name: 'FLOE_NAMESPACE', value: variables.namespace },
  ];
}
