// Which scenarios there are.
import { globSync } from 'node:fs';
import { projectDir } from '../bed/paths.ts';

/** Patterns of the files, from the checkout's root. */
export const SCENARIOS = ['e2e/scenarios/*.e2e.test.ts', 'operator/src/**/*.e2e.test.ts', 'cli/src/**/*.e2e.test.ts'];

/** The scenarios whose path has one of the filters in it, as vitest takes them; all where there is none. */
export function matchingScenarios(filter: readonly string[]): readonly string[] {
  const matches = (file: string): boolean => filter.length === 0 || filter.some((part) => file.includes(part));
  return globSync(SCENARIOS, { cwd: projectDir }).filter(matches).toSorted();
}
