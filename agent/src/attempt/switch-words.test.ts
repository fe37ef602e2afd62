// What is read from outputs of switch-to-configuration: as the program of nixpkgs writes them.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SwitchWordsReader, switchWords } from './switch-words.ts';

const STATUS = '× web.service - Web\n     Loaded: loaded (/etc/systemd/system/web.service)\n     Active: failed\n';

test.each([
  { name: 'the lock', output: 'Could not acquire lock\n', words: { said: 'Could not acquire lock' } },
  {
    name: 'a snippet fails long before the end',
    output:
      "stopping the following units: web.service\nactivating the configuration...\nsetting up /etc...\nno such file\nActivation script snippet 'keys' failed (1)\nFailed to run activate script\nreloading user units for ann...\nrestarting sysinit-reactivation.target\nstarting the following units: web.service\nthe following new units were started: a.service\n",
    words: {
      said: "no such file / Activation script snippet 'keys' failed (1) / Failed to run activate script",
      began: true,
    },
  },
  {
    name: 'failed units, with their status after them',
    output: `activating the configuration...\nFailed to start db.service\nwarning: the following units failed: mail.service, web.service\n${STATUS}`,
    words: {
      said: 'Failed to start db.service / warning: the following units failed: mail.service, web.service',
      units: ['db.service', 'mail.service', 'web.service'],
      began: true,
    },
  },
  {
    name: 'an error of the program: its first line has the name',
    output:
      'Error: Failed to parse systemd unit file /etc/systemd/system/web.service\n\nCaused by:\n    0: Failed parse unit file as INI\n    1: 3:1 expecting a key\n',
    words: {
      said: 'Error: Failed to parse systemd unit file /etc/systemd/system/web.service / Caused by: / 0: Failed parse unit file as INI / 1: 3:1 expecting a key',
    },
  },
  {
    name: 'logind',
    output: 'activating the configuration...\nUnable to list users with logind: Did not receive a reply.\n',
    words: { said: 'Unable to list users with logind: Did not receive a reply.', began: true },
  },
  {
    name: 'a check before the switch',
    output: 'one\ntwo\nthree\nthe disk is too small\nPre-switch checks failed\n',
    words: { said: 'two / three / the disk is too small / Pre-switch checks failed' },
  },
  {
    name: 'a user',
    output: 'activating the configuration...\nwarning: user activation for ann failed\nrestarting x\n',
    words: { said: 'warning: user activation for ann failed', began: true },
  },
  {
    name: 'a reload that failed names no unit that did not start',
    output: 'activating the configuration...\nFailed to reload web.service: no\n',
    words: { said: 'Failed to reload web.service: no', began: true },
  },
  { name: 'words that it does not know', output: 'a\nb\nc\nd\n', words: { said: 'b / c / d' } },
  { name: 'nothing', output: '\n', words: {} },
])('$name', ({ output, words }) => {
  expect(switchWords(output)).toEqual(words);
});

test('however the output is cut into pieces, it says the same and stays small', () => {
  const line = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.constantFrom('Failed to start a.service', 'Error: x', 'activating the configuration...', 'x'.repeat(5_000)),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), fc.array(fc.nat(200), { maxLength: 20 }), (lines, cuts) => {
      const text = lines.join('\n');
      const reader = new SwitchWordsReader();
      let rest = text;
      for (const at of cuts) {
        reader.add(rest.slice(0, at));
        rest = rest.slice(at);
      }
      reader.add(rest);
      const words = reader.end();
      expect(words).toEqual(switchWords(text));
      expect(words.said?.length ?? 0).toBeLessThanOrEqual(400);
    }),
  );
});
