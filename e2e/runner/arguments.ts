// The command line of `npm test`.
import { parseArgs } from 'node:util';

export const USAGE = `npm test -- [--lanes N] [FILTER …]
  checks, unit tests, and scenarios on real clusters
  FILTER      only scenarios whose file has this in its path: \`npm test -- scenarios/47\`; neither checks nor unit tests
  --lanes N   so many scenarios side by side, each in a cluster of its own; by default one for every two cores, as memory allows`;

export type TestArguments =
  | { readonly kind: 'run'; readonly lanes: number | undefined; readonly filter: readonly string[] }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

export function parseTestArguments(args: readonly string[]): TestArguments {
  const options = { lanes: { type: 'string' }, help: { type: 'boolean' } } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.help) return { kind: 'help' };
    if (values.lanes !== undefined && !/^[1-9][0-9]?$/.test(values.lanes)) {
      return { kind: 'wrong', message: `--lanes ${values.lanes}: a whole number from 1 to 99` };
    }
    const lanes = values.lanes === undefined ? undefined : Number(values.lanes);
    return { kind: 'run', lanes, filter: positionals };
  } catch (error: unknown) {
    return { kind: 'wrong', message: error instanceof Error ? error.message : String(error) };
  }
}
