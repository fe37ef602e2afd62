// The questions of the chart's dashboards, as Grafana asks them: variables replaced by what a person has chosen.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir } from '../bed/paths.ts';

const DIR = join(projectDir, 'charts/floe/dashboards');

type Target = { readonly expr: string; readonly hide?: boolean };
type Panel = { readonly title?: string; readonly targets?: readonly Target[]; readonly panels?: readonly Panel[] };
type Variable = {
  readonly name: string;
  readonly type: string;
  readonly definition?: string;
  readonly allValue?: string;
};
type Dashboard = { readonly panels: readonly Panel[]; readonly templating: { readonly list: readonly Variable[] } };

/** One query of one panel. */
export type Question = { readonly dashboard: string; readonly panel: string; readonly expr: string };

/** A variable that is filled from `label_values(match, label)`. */
export type Choice = {
  readonly dashboard: string;
  readonly variable: string;
  readonly match: string;
  readonly label: string;
};

function dashboards(): { name: string; content: Dashboard }[] {
  return readdirSync(DIR)
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({ name, content: JSON.parse(readFileSync(join(DIR, name), 'utf8')) as Dashboard }));
}

/** Every query of every panel. */
export function questions(): readonly Question[] {
  const flat = (panels: readonly Panel[]): Panel[] => panels.flatMap((panel) => [panel, ...flat(panel.panels ?? [])]);
  return dashboards().flatMap(({ name, content }) =>
    flat(content.panels).flatMap(({ title = 'untitled', targets = [] }) =>
      targets.map(({ expr }) => ({ dashboard: name, panel: title, expr })),
    ),
  );
}

/** Every variable that asks Prometheus. */
export function choices(): readonly Choice[] {
  return dashboards().flatMap(({ name, content }) =>
    content.templating.list.flatMap(({ name: variable, definition }) => {
      if (definition === undefined) return [];
      const [, match = '', label = ''] = /^label_values\((.+), *([a-z_]+)\)$/.exec(definition) ?? [];
      return [{ dashboard: name, variable, match, label }];
    }),
  );
}

/** What variables stand for. */
export type Chosen = Readonly<Record<string, string>>;

/** `All` of every variable that a person may choose of. */
export function allChosen(): Chosen {
  const variables = dashboards().flatMap(({ content }) => content.templating.list);
  return Object.fromEntries(variables.map(({ name, allValue }) => [name, allValue ?? '.*']));
}

/** The query with its variables replaced, as for a graph of some minutes with a scrape each second. */
export function asked(expr: string, chosen: Chosen): string {
  const values: Chosen = { ...chosen, __rate_interval: '1m', __interval: '5s', __range: '5m' };
  const text = expr.replaceAll(/\$\{?([a-zA-Z_]+)(?::[a-z]+)?\}?/g, (whole, name: string) => values[name] ?? whole);
  if (text.includes('$')) throw new Error(`a variable of ${expr} has no value`);
  return text;
}
