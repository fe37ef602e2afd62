// What happens to a unit whose file changed: the rules of switch-to-configuration, one row each.
import { expect, test } from 'vitest';
import { type UnitAction, unitAction } from './unit-change.ts';

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
  expect(unitAction(name, before, after)).toBe(action);
});
