import { expect, test } from 'vitest';
import { allChosen, asked, choices, questions } from './dashboards.ts';

test.each([
  ['up{namespace=~"$namespace"}', 'up{namespace=~"shop"}'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's form of a variable.
  ['rate(up{rollout=~"${rollout:regex}"}[$__rate_interval])', 'rate(up{rollout=~"web"}[1m])'],
  ['sum(up)', 'sum(up)'],
])('%s is asked as %s', (expr, expected) => {
  expect(asked(expr, { namespace: 'shop', rollout: 'web' })).toBe(expected);
});

test('a variable without a value is an error, not an empty answer', () => {
  expect(() => asked('up{zone="$zone"}', {})).toThrow('a variable of up{zone="$zone"} has no value');
});

test('every query and every choice of the dashboards can be asked', () => {
  expect(questions().length).toBeGreaterThan(20);
  for (const { expr } of questions()) expect(asked(expr, allChosen())).not.toContain('$');
  for (const { match, label } of choices()) {
    expect(asked(match, allChosen())).not.toBe('');
    expect(label).not.toBe('');
  }
});
