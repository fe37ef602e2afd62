import { expect, test } from 'vitest';
import { attributeNames, needAttributeNames } from './attribute.ts';
import { BuildFailure } from './failure.ts';

test.each([
  ['nixosConfigurations.web-01', ['nixosConfigurations', 'web-01']],
  ['nixosConfigurations."web.example.org"', ['nixosConfigurations', 'web.example.org']],
  ['a."say \\"hi\\"".b', ['a', 'say "hi"', 'b']],
  ["a.b'", ['a', "b'"]],
  ['', undefined],
  ['a.', undefined],
  ['.a', undefined],
  ['a..b', undefined],
  ['a b', undefined],
  ['a."b', undefined],
  ['$' + '{x}', undefined],
])('%s', (text, names) => {
  expect(attributeNames(text)).toEqual(names);
});

test('a wrong one is told by its field', () => {
  expect(() => needAttributeNames('a b')).toThrow(BuildFailure);
});
