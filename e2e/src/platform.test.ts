import { expect, test } from 'vitest';
import { choosePlatform, type HostFacts } from './platform.ts';

const all: HostFacts = { linux: true, root: true, debian: true, docker: 'runs', kind: true };

test.each<{ name: string; facts: Partial<HostFacts>; asked?: boolean; on: string; says?: readonly RegExp[] }>([
  { name: 'root on Debian', facts: {}, on: 'local' },
  { name: 'root on Debian without Docker', facts: { docker: 'missing', kind: false }, on: 'local' },
  { name: 'root on Debian, kind asked for', facts: {}, asked: true, on: 'kind' },
  { name: 'somebody else on Debian, with Docker', facts: { root: false }, on: 'kind' },
  { name: 'root elsewhere, with Docker', facts: { debian: false }, on: 'kind' },
  {
    name: 'somebody else on Debian, no Docker',
    facts: { root: false, docker: 'missing', kind: false },
    on: 'nothing',
    says: [/^For kind, Docker: /, /^For kind, kind itself: /, /root: sudo npm run demo/],
  },
  {
    name: 'root elsewhere, an engine that does not answer',
    facts: { debian: false, docker: 'silent' },
    on: 'nothing',
    says: [/`docker version` reaches none/, /use Debian 12/],
  },
  {
    name: 'neither root nor Debian, Docker without kind',
    facts: { root: false, debian: false, kind: false },
    on: 'nothing',
    says: [/kind itself/, /use Debian 12/, /root: sudo/],
  },
  {
    name: 'kind asked for where only the local cluster can run',
    facts: { docker: 'silent', kind: false },
    asked: true,
    on: 'nothing',
    says: [/`docker version`/, /kind itself/, /^Without --kind the demo runs here/],
  },
  { name: 'not Linux', facts: { linux: false }, on: 'nothing', says: [/^Linux: /] },
])('$name: $on', ({ facts, asked, on, says = [] }) => {
  const platform = choosePlatform({ ...all, ...facts }, asked ?? false);
  expect(platform.on).toBe(on);
  const missing = platform.on === 'nothing' ? platform.missing : [];
  expect(missing).toHaveLength(says.length);
  says.forEach((words, index) => {
    expect(missing[index]).toMatch(words);
  });
});
