// Flags and variables: who wins, and what is said of what can't be used.
import { describe, expect, test } from 'vitest';
import { type Flag, helpText, readFlags, SettingError } from './flags.ts';

const flags: readonly Flag[] = [
  { name: 'port', env: 'FLOE_PORT', type: 'integer', default: '8443', description: 'Port.' },
  { name: 'elect', env: 'FLOE_ELECT', type: 'boolean', default: 'true', description: 'Elect a leader.' },
  { name: 'image', env: 'FLOE_IMAGE', type: 'string', description: 'Image.', required: true },
  { name: 'extra', env: 'FLOE_EXTRA', type: 'string', description: 'JSON.' },
];

describe('readFlags', () => {
  test('the command line wins over the environment, which wins over the default', () => {
    const values = readFlags(flags, ['--port', '1', '--image', 'a'], { FLOE_PORT: '2', FLOE_ELECT: 'false' });
    expect([values.integer('port'), values.boolean('elect'), values.need('image')]).toEqual([1, false, 'a']);
    expect(readFlags(flags, ['--no-elect', '--image=a'], {}).boolean('elect')).toBe(false);
    expect(readFlags(flags, [], { FLOE_IMAGE: 'b', FLOE_PORT: '' }).integer('port')).toBe(8443);
  });

  test.each([
    [['--port', 'x'], {}, '--port: "x" is not a number'],
    [[], { FLOE_PORT: '-1' }, 'FLOE_PORT: "-1" is not a number'],
    [[], { FLOE_ELECT: 'yes' }, 'FLOE_ELECT: "yes" is neither true nor false'],
    [[], {}, '--image: is not set; give --image or FLOE_IMAGE: Image.'],
    [['--porto', '1'], {}, "command line: Unknown option '--porto'"],
    [['stray'], {}, "command line: Unexpected argument 'stray'"],
  ])('%j %j: %s', (argv, env, message) => {
    expect(() => readFlags(flags, argv, env)).toThrow(message);
  });

  test('JSON that does not parse names its flag', () => {
    const values = readFlags(flags, ['--image', 'a', '--extra', '{'], {});
    expect(() => values.json('extra', {})).toThrow(SettingError);
    expect(readFlags(flags, ['--image', 'a'], {}).json('extra', [1])).toEqual([1]);
  });

  test('help names flag, variable and default', () => {
    expect(helpText('operator', 'runs it', flags)).toContain('--port NUMBER  (FLOE_PORT)\n      Port. Default 8443.');
  });
});
