// What happens to a unit whose file changed: the rules of switch-to-configuration, one row each.
import { expect, test } from 'vitest';
import { type UnitAction, unitChange } from './unit-change.ts';

const unit = (service: string, head = ''): string => `[Unit]\n${head}\n[Service]\n${service}\n`;
const base = unit('ExecStart=/a');

test.each<[string, string, string | undefined, string | undefined, UnitAction]>([
  ['the same', 'x.service', base, base, 'none'],
  ['comments and blank lines', 'x.service', base, `# c\n\n${base}; d\n`, 'none'],
  ['a description', 'x.service', unit('ExecStart=/a', 'Description=1'), unit('ExecStart=/a', 'Description=2'), 'none'],
  ['[Install]', 'x.service', base, `${base}[Install]\nWantedBy=multi-user.target\n`, 'none'],
  ['another command', 'x.service', base, unit('ExecStart=/b'), 'restart'],
  ['a setting more', 'x.service', base, unit('ExecStart=/a\nUser=x'), 'restart'],
  ['a section more', 'x.service', base, `${base}[Slice]\nx=1\n`, 'restart'],
  ['After', 'x.service', base, unit('ExecStart=/a', 'After=y.service'), 'restart'],
  ['a continued line', 'x.service', unit('ExecStart=/a \\\n b'), unit('ExecStart=/a   b'), 'none'],
  ['a restart trigger', 'x.service', base, unit('ExecStart=/a', 'X-Restart-Triggers=1'), 'restart'],
  ['a reload trigger', 'x.service', base, unit('ExecStart=/a', 'X-Reload-Triggers=1'), 'reload'],
  ['ExecReload', 'x.service', base, unit('ExecStart=/a\nExecReload=/r'), 'reload'],
  ['ExecReload and more', 'x.service', base, unit('ExecStart=/b\nExecReload=/r'), 'restart'],
  ['options of a mount', 'x.mount', '[Mount]\nOptions=ro\n', '[Mount]\nOptions=rw\n', 'reload'],
  ['where a mount is from', 'x.mount', '[Mount]\nWhat=/a\n', '[Mount]\nWhat=/b\n', 'restart'],
  ['a reload trigger that is gone', 'x.service', unit('ExecStart=/a', 'X-Reload-Triggers=1'), base, 'none'],
  [
    'another reload trigger',
    'x.service',
    unit('ExecStart=/a', 'X-Reload-Triggers=1'),
    unit('ExecStart=/a', 'X-Reload-Triggers=2'),
    'reload',
  ],
  ['no ExecReload any more', 'x.service', unit('ExecStart=/a\nExecReload=/r'), base, 'none'],
  [
    'no ExecReload any more, and more',
    'x.service',
    unit('ExecStart=/a\nExecReload=/r'),
    unit('ExecStart=/b'),
    'restart',
  ],
  [
    '[Service] with nothing but ExecReload',
    'x.service',
    '[Unit]\nAfter=a\n',
    '[Unit]\nAfter=a\n[Service]\nExecReload=/r\n',
    'reload',
  ],
  ['and without it again', 'x.service', '[Unit]\nAfter=a\n[Service]\nExecReload=/r\n', '[Unit]\nAfter=a\n', 'none'],
  [
    'two sections more',
    'x.service',
    '[A]\nb=1\n',
    '[A]\nb=1\n[Unit]\nDescription=1\n[Service]\nExecReload=/r\n',
    'restart',
  ],
  ['a section less', 'x.service', `${base}[Slice]\nx=1\n`, base, 'restart'],
  [
    '[Unit] that only describes',
    'x.service',
    '[Service]\nExecStart=/a\n',
    '[Unit]\nDescription=1\n[Service]\nExecStart=/a\n',
    'none',
  ],
  ['a setting more that is empty', 'x.service', base, unit('ExecStart=/a\nUser='), 'restart'],
  ['a setting less that was empty', 'x.service', unit('ExecStart=/a\nUser='), base, 'restart'],
  ['a setting made empty', 'x.service', unit('ExecStart=/a\nUser=x'), unit('ExecStart=/a\nUser=x\nUser='), 'restart'],
  [
    'what a drop-in takes back',
    'x.service',
    unit('ExecStart=/b'),
    `${base}[Service]\nExecStart=\nExecStart=/b\n`,
    'none',
  ],
  [
    'values in another order',
    'x.service',
    unit('ExecStart=/a\nExecStart=/b'),
    unit('ExecStart=/b\nExecStart=/a'),
    'restart',
  ],
  ['settings in another order', 'x.service', unit('ExecStart=/a\nUser=x'), unit('User=x\nExecStart=/a'), 'none'],
  [
    'quotes around a value',
    'x.service',
    unit('ExecStart=/a\nEnvironment="A=1"'),
    unit('ExecStart=/a\nEnvironment=A=1'),
    'none',
  ],
  ['quotes within a value', 'x.service', unit('ExecStart=/a "1"'), unit('ExecStart=/a 1'), 'restart'],
  ['what is ignored in [Unit] counts in [Service]', 'x.service', base, unit('ExecStart=/a\nDescription=1'), 'restart'],
  ['a mount that gets options', 'x.mount', '[Mount]\nWhat=/a\n', '[Mount]\nWhat=/a\nOptions=rw\n', 'restart'],
  ['a mount that loses its options', 'x.mount', '[Mount]\nWhat=/a\nOptions=rw\n', '[Mount]\nWhat=/a\n', 'restart'],
  ['the root', '-.mount', '[Mount]\nWhat=/a\n', '[Mount]\nWhat=/b\n', 'reload'],
  ['/nix', 'nix.mount', '[Mount]\nWhat=/a\n', '[Mount]\nWhat=/b\n', 'reload'],
  ['/nix/store', 'nix-store.mount', '[Mount]\nWhat=/a\n', '[Mount]\nWhat=/b\n', 'restart'],
  [
    'X-ReloadIfChanged in [Unit] counts for nothing',
    'x.service',
    base,
    unit('ExecStart=/b', 'X-ReloadIfChanged=true'),
    'restart',
  ],
  [
    'X-RestartIfChanged in [Unit] counts for nothing',
    'x.service',
    base,
    unit('ExecStart=/b', 'X-RestartIfChanged=false'),
    'restart',
  ],
  [
    'X-OnlyManualStart in [Service] counts for nothing',
    'x.service',
    base,
    unit('ExecStart=/b\nX-OnlyManualStart=true'),
    'restart',
  ],
  ['yes in another letter case is no', 'x.service', base, unit('ExecStart=/b\nX-ReloadIfChanged=True'), 'restart'],
  ['no in any letter case is no', 'x.service', base, unit('ExecStart=/b\nX-RestartIfChanged=FALSE'), 'keep'],
  [
    'the last value counts',
    'x.service',
    base,
    unit('ExecStart=/b\nX-RestartIfChanged=false\nX-RestartIfChanged=true'),
    'restart',
  ],
  [
    'the new unit says, not the old one',
    'x.service',
    unit('ExecStart=/a\nX-RestartIfChanged=false'),
    unit('ExecStart=/b'),
    'restart',
  ],
  ['a path unit', 'x.path', '[Path]\nPathExists=/a\n', '[Path]\nPathExists=/b\n', 'none'],
  ['any target', 'x.target', '[Unit]\nAfter=a\n', '[Unit]\nAfter=b\n', 'none'],
  ['a target that is gone', 'x.target', '[Unit]\nAfter=a\n', undefined, 'stop'],
  ['X-ReloadIfChanged', 'x.service', base, unit('ExecStart=/b\nX-ReloadIfChanged=true'), 'reload'],
  ['X-RestartIfChanged=false', 'x.service', base, unit('ExecStart=/b\nX-RestartIfChanged=false'), 'keep'],
  ['X-StopIfChanged=false', 'x.service', base, unit('ExecStart=/b\nX-StopIfChanged=false'), 'restart'],
  ['RefuseManualStop', 'x.service', base, unit('ExecStart=/b', 'RefuseManualStop=yes'), 'keep'],
  ['X-OnlyManualStart', 'x.service', base, unit('ExecStart=/b', 'X-OnlyManualStart=true'), 'keep'],
  ['a slice', 'x.slice', '[Slice]\nCPUQuota=1%\n', '[Slice]\nCPUQuota=2%\n', 'none'],
  ['a socket', 'x.socket', '[Socket]\nListenStream=1\n', '[Socket]\nListenStream=2\n', 'none'],
  ['a target', 'multi-user.target', '[Unit]\nAfter=a\n', '[Unit]\nAfter=b\n', 'none'],
  ['a timer', 'x.timer', '[Timer]\nOnCalendar=1\n', '[Timer]\nOnCalendar=2\n', 'restart'],
  ['new', 'x.service', undefined, base, 'start'],
  ['gone', 'x.service', base, undefined, 'stop'],
  ['gone, but it stays', 'x.service', unit('ExecStart=/a', 'X-StopOnRemoval=false'), undefined, 'keep'],
  ['neither', 'x.service', undefined, undefined, 'none'],
])('%s', (_, name, before, after, action) => {
  expect(unitChange(name, before, after).action).toBe(action);
});

test.each<[string, string, boolean, readonly string[]]>([
  ['the socket of its name', 'ExecStart=/b', true, ['x.socket']],
  [
    'those that it names',
    'ExecStart=/b\nSockets=a.socket b.socket\nSockets=c.socket',
    true,
    ['a.socket', 'b.socket', 'c.socket'],
  ],
  ['it is not to be left to them', 'ExecStart=/b\nX-NotSocketActivated=true', false, ['x.socket']],
  ['it is not stopped first', 'ExecStart=/b\nX-StopIfChanged=false', false, []],
  ['it is reloaded', 'ExecStart=/b\nX-ReloadIfChanged=true', false, []],
])('sockets of a service: %s', (_, settings, leftToSockets, sockets) => {
  expect(unitChange('x.service', base, unit(settings))).toMatchObject({ leftToSockets, sockets });
});

test('an instance has the socket of its template', () => {
  expect(unitChange('x@7.service', base, unit('ExecStart=/b')).sockets).toEqual(['x.socket']);
});
