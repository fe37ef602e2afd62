import { expect, test } from 'vitest';
import { attributeNames } from '../builder/attribute.ts';
import { hasPlaceholder, machineAttribute, plainAttribute } from './attribute.ts';
import { machine } from './config.fixture.ts';

test.each([
  ['nixosConfigurations.{machine}', 'web-01', {}, 'nixosConfigurations.web-01'],
  ['nixosConfigurations.{machine}', 'web.example', {}, 'nixosConfigurations."web.example"'],
  ['nixosConfigurations."{machine}"', 'web.example', {}, 'nixosConfigurations."web.example"'],
  ['nixosConfigurations."{machine}.lan"', 'web', {}, 'nixosConfigurations."web.lan"'],
  ['roles.{label:role}.{machine}', 'a', { role: 'db' }, 'roles.db.a'],
  ['roles.{label:example.org/role}', 'a', { 'example.org/role': '1.2' }, 'roles."1.2"'],
  ['kiosk', 'a', {}, 'kiosk'],
])('%s of %s with %o is %s', (template, name, labels, attribute) => {
  const found = machineAttribute(template, machine(name, { labels }));
  expect(found).toEqual({ kind: 'attribute', attribute });
  expect(attributeNames(attribute)).toBeDefined();
});

test.each(['x".y', `x$\{builtins.abort "no"}`, 'a\\', 'a.b', "x'; y", '{machine}'])(
  'the host name %s stays one name',
  (hostName) => {
    const found = machineAttribute('configs.{machine}', machine('a', { spec: { hostName } }));
    expect(found.kind === 'attribute' && attributeNames(found.attribute)).toEqual(['configs', hostName]);
  },
);

test('a label that is missing or empty is named', () => {
  for (const labels of [{}, { role: '' }]) {
    expect(machineAttribute('x.{label:role}', machine('a', { labels }))).toEqual({
      kind: 'missing-label',
      label: 'role',
    });
  }
});

test('placeholders', () => {
  expect(['a.{machine}', 'a.{label:x}', 'a.{other}', 'a'].map(hasPlaceholder)).toEqual([true, true, false, false]);
  expect(plainAttribute('a.{machine}', 'web.x')).toBe('a."web.x"');
});
