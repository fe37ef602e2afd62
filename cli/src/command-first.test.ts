// Where flags may stand.
import { expect, test } from 'vitest';
import { commandFirst } from './command-first.ts';

test.each<[string, string, string]>([
  ['kubectl floe -n fleet get rollout web', '-n fleet get rollout web', 'get -n fleet rollout web'],
  ['a short form in one', '-nfleet approve web', 'approve -nfleet web'],
  ['a long form', '--namespace fleet --context lab machine m1', 'machine --namespace fleet --context lab m1'],
  [
    'a long form with =',
    '--kubeconfig=/k --namespace=fleet get rollout web',
    'get --kubeconfig=/k --namespace=fleet rollout web',
  ],
  ['behind it already', 'get rollout web -n fleet', 'get rollout web -n fleet'],
  ['no command at all', '-n fleet', '-n fleet'],
  ['help', '--help', '--help'],
  ['a flag that is none of the cluster', '--watch get rollout web', '--watch get rollout web'],
  ['nothing', '', ''],
])('%s', (_, given, wanted) => {
  const words = (text: string) => text.split(' ').filter((word) => word !== '');
  expect(commandFirst(words(given))).toEqual(words(wanted));
});
