import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseNixEvent } from './internal-log.ts';

const drv = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a.drv';

test.each([
  [
    { action: 'start', id: 7, type: 105, fields: [drv, '', 1, 1] },
    { kind: 'build', id: 7, derivation: drv },
  ],
  [
    { action: 'start', id: 7, type: 100, fields: ['/p', 'a', 'b'] },
    { kind: 'copy', id: 7, path: '/p' },
  ],
  [
    { action: 'start', id: 7, type: 104 },
    { kind: 'builds', id: 7 },
  ],
  [
    { action: 'result', id: 7, type: 101, fields: ['\u001b[1mline\u001b[0m'] },
    { kind: 'log', id: 7, line: 'line' },
  ],
  [
    { action: 'result', id: 7, type: 105, fields: [1, 3, 1, 0] },
    { kind: 'progress', id: 7, done: 1, expected: 3, failed: 0 },
  ],
  [
    { action: 'stop', id: 7 },
    { kind: 'stop', id: 7 },
  ],
  [
    { action: 'msg', level: 0, msg: '\u001b[31;1merror:\u001b[0m x' },
    { kind: 'message', level: 0, text: 'error: x' },
  ],
  [{ action: 'start', id: 7, type: 0 }, undefined],
  [{ action: 'new thing' }, undefined],
])('%j', (line, event) => {
  expect(parseNixEvent(`@nix ${JSON.stringify(line)}`)).toEqual(event);
});

test('never throws, whatever comes', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      parseNixEvent(`@nix ${json}`);
    }),
  );
  expect(parseNixEvent('@nix {')).toBeUndefined();
  expect(parseNixEvent('plain words')).toBeUndefined();
});
