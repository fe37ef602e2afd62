// Files of secrets: whole, with owner and mode, only when their content changed, and gone when they are taken out.
import { createHmac } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentMessage } from '@floe/crds/protocol';
import type { SecretsMessage } from '@floe/crds/secrets';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseAccounts } from './accounts.ts';
import { SecretFolder } from './secret-folder.ts';
import { SecretKeeper } from './secret-keeper.ts';
import type { Reaction } from './unit-reactions.ts';

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const ACCOUNTS = parseAccounts(`me:x:${uid}:${gid}::/:\nroot:x:${uid}:0::/:`, `mine:x:${gid}:me\nroot:x:${gid}:`);
const SALTS = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64')] as const;

let folder: string;
let log: string[];
let reacted: Reaction[];
let completed: number;
let changes: number;
let clock: number;

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'floe-secrets-')), 'run');
  [log, reacted, completed, changes, clock] = [[], [], 0, 0, 0];
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

function keeper(reactions: Record<string, Reaction> = {}, retryMs = 1e6): SecretKeeper {
  const say = (text: string) => log.push(text);
  const made = new SecretKeeper({
    files: new SecretFolder(folder, { mustBeInMemory: false }),
    accounts: async () => ACCOUNTS,
    reactions: async () => reactions,
    units: {
      react: async (units) => {
        reacted.push(units);
      },
      complete: async () => {
        completed += 1;
      },
    },
    log: { info: say, warn: say, error: say },
    now: () => `2026-03-01T10:00:0${clock++ % 10}Z`,
    retryMs,
  });
  made.onChange(() => {
    changes += 1;
  });
  return made;
}

type Given = { content?: string; owner?: string; group?: string; mode?: string; fault?: string };

/** A hub: lists of what it has, and the contents that are asked for. */
class Hub {
  asked: string[] = [];
  generation = 0;
  readonly keeper: SecretKeeper;
  files: Record<string, Given> = {};
  answers = true;

  constructor(to: SecretKeeper) {
    this.keeper = to;
  }

  async list(files: Record<string, Given>, salt: string = SALTS[0]): Promise<void> {
    this.files = files;
    const entries = Object.entries(files).map(
      ([name, { content, owner = 'me', group = 'mine', mode = '0400', fault }]) => ({
        name,
        owner,
        group,
        mode,
        ...(content === undefined
          ? {}
          : { digest: createHmac('sha256', Buffer.from(salt, 'base64')).update(content).digest('hex') }),
        ...(fault === undefined ? {} : { fault }),
      }),
    );
    this.generation += 1;
    const list: SecretsMessage = { type: 'secrets', generation: this.generation, salt, entries };
    this.keeper.list(list, (message) => this.#answer(message));
    await this.settled();
  }

  async settled(): Promise<void> {
    for (let i = 0; i < 40; i++) await this.keeper.settled();
  }

  #answer(message: AgentMessage): void {
    if (message.type !== 'wantSecrets') throw new Error(message.type);
    this.asked.push(...message.names);
    if (!this.answers) return;
    for (const name of message.names) {
      const content = this.files[name]?.content;
      this.keeper.content({
        type: 'secret',
        name,
        ...(content === undefined ? {} : { content: Buffer.from(content).toString('base64') }),
      });
    }
  }
}

const there = async (): Promise<string[]> => (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
const text = (name: string) => readFile(join(folder, name), 'utf8');

test('a first list is asked for, written with owner and mode, and reported', async () => {
  const hub = new Hub(keeper());
  await hub.list({ tls: { content: 'KEY' }, token: { content: 'T', mode: '0640' } });
  expect([await text('tls'), await text('token')]).toEqual(['KEY', 'T']);
  const modes = await Promise.all(
    ['tls', 'token', ''].map(async (name) => (await stat(join(folder, name))).mode & 0o777),
  );
  expect(modes).toEqual([0o400, 0o640, 0o751]);
  expect(hub.keeper.status).toEqual({ generation: 1, total: 2, delivered: 2, changedAt: '2026-03-01T10:00:01Z' });
  expect([completed, changes, hub.asked]).toEqual([1, 1, ['tls', 'token']]);
});

test('the same content is neither asked for nor touched, by another replica either', async () => {
  const hub = new Hub(keeper({ tls: { restartUnits: ['nginx.service'], reloadUnits: [] } }));
  await hub.list({ tls: { content: 'KEY' } });
  const before = await stat(join(folder, 'tls'));
  [hub.asked, reacted] = [[], []];
  await hub.list({ tls: { content: 'KEY' } }, SALTS[1]);
  const after = await stat(join(folder, 'tls'));
  expect([hub.asked, reacted, after.ino, after.mtimeMs]).toEqual([[], [], before.ino, before.mtimeMs]);
  expect(hub.keeper.status?.changedAt).toBe('2026-03-01T10:00:00Z');
});

test('a changed content restarts and reloads what names it, once; an owner or mode alone does not', async () => {
  const reactions = {
    tls: { restartUnits: ['nginx.service'], reloadUnits: ['haproxy.service'] },
    token: { restartUnits: ['nginx.service', 'app.service'], reloadUnits: [] },
  };
  const hub = new Hub(keeper(reactions));
  await hub.list({ tls: { content: 'a' }, token: { content: 'a' } });
  reacted = [];
  await hub.list({ tls: { content: 'b' }, token: { content: 'b' } });
  expect(reacted).toEqual([{ restartUnits: ['nginx.service', 'app.service'], reloadUnits: ['haproxy.service'] }]);
  reacted = [];
  await hub.list({ tls: { content: 'b', mode: '0440' }, token: { content: 'b' } });
  expect([reacted, (await stat(join(folder, 'tls'))).mode & 0o777]).toEqual([[], 0o440]);
});

test('units are told after a crash between writing and telling', async () => {
  await new Hub(keeper()).list({ tls: { content: 'a' } });
  await writeFile(join(folder, '.units'), JSON.stringify({ restartUnits: ['nginx.service'], reloadUnits: [] }));
  await writeFile(join(folder, '.new-tls'), 'half');
  await new Hub(keeper()).list({ tls: { content: 'a' } });
  expect(reacted).toEqual([{ restartUnits: ['nginx.service'], reloadUnits: [] }]);
  expect((await readdir(folder)).sort()).toEqual(['.changed', '.complete', 'tls']);
});

test('what is taken out vanishes; nothing is left to report', async () => {
  const hub = new Hub(keeper());
  await hub.list({ tls: { content: 'a' }, token: { content: 'a' } });
  await hub.list({ token: { content: 'a' } });
  expect(await there()).toEqual(['token']);
  await hub.list({});
  expect([await there(), hub.keeper.status]).toEqual([[], undefined]);
});

test('a wrong owner or group is that one entry alone; the others go on', async () => {
  const hub = new Hub(keeper());
  await hub.list({
    a: { content: 'a', owner: 'nobody-here' },
    b: { content: 'b', group: 'none' },
    c: { content: 'c' },
  });
  expect(await there()).toEqual(['c']);
  expect(hub.keeper.status).toMatchObject({
    total: 3,
    delivered: 1,
    failed: [
      { name: 'a', message: expect.stringContaining('there is no user nobody-here on the machine') },
      { name: 'b', message: expect.stringContaining('there is no group none on the machine') },
    ],
  });
  expect(completed).toBe(0);
});

test('a Secret that is gone keeps the file that is there, and says so', async () => {
  const hub = new Hub(keeper());
  await hub.list({ tls: { content: 'a' } });
  await hub.list({ tls: { fault: 'there is no Secret tls' } });
  expect([await text('tls'), hub.keeper.status?.failed]).toEqual([
    'a',
    [{ name: 'tls', message: 'there is no Secret tls' }],
  ]);
});

test('an answer that does not come, comes late or is another content is not written; it is tried again', async () => {
  const hub = new Hub(keeper({}, 5));
  hub.answers = false;
  await hub.list({ tls: { content: 'a' } });
  hub.keeper.content({ type: 'secret', name: 'tls', content: Buffer.from('other').toString('base64') });
  hub.keeper.content({ type: 'secret', name: 'unasked', content: Buffer.from('x').toString('base64') });
  await hub.settled();
  expect([await there(), hub.keeper.status?.failed?.[0]?.message]).toEqual([
    [],
    expect.stringContaining('a new list follows'),
  ]);
  hub.answers = true;
  await expect.poll(there).toEqual(['tls']);
});

test('no content in the log', async () => {
  const hub = new Hub(keeper());
  await hub.list({ tls: { content: 'SUPERSECRET' }, bad: { content: 'SUPERSECRET', owner: 'x' } });
  await chmod(join(folder, 'tls'), 0o600);
  await hub.list({ tls: { content: 'SUPERSECRET2' } });
  expect(log.join('\n')).not.toContain('SUPERSECRET');
  expect(JSON.stringify(hub.keeper.status)).not.toContain('SUPERSECRET');
});

test('a folder on a disk is refused', async () => {
  const made = new SecretFolder(join(import.meta.dirname, '.never'), {
    mustBeInMemory: true,
  });
  await expect(made.prepare()).rejects.toThrow('is not in memory');
  await rm(join(import.meta.dirname, '.never'), { recursive: true, force: true });
});

test('whatever the order of lists, the folder is as the last one says', async () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const lists = fc.array(
    fc.dictionary(name, fc.record({ content: fc.constantFrom('1', '2'), mode: fc.constantFrom('0400', '0440') })),
    {
      minLength: 1,
      maxLength: 5,
    },
  );
  await fc.assert(
    fc.asyncProperty(lists, async (all) => {
      const hub = new Hub(keeper());
      for (const [index, list] of all.entries()) await hub.list(list as Record<string, Given>, SALTS[index % 2]);
      const last = all.at(-1) ?? {};
      expect(await there()).toEqual(Object.keys(last).sort());
      for (const [file, { content }] of Object.entries(last)) expect(await text(file)).toBe(content);
    }),
    { numRuns: 40 },
  );
});

test('what goes wrong with the folder as a whole is said, and tried again', async () => {
  await writeFile(folder, 'a file in its place');
  const hub = new Hub(keeper({}, 5));
  await hub.list({ tls: { content: 'a' } });
  expect(hub.keeper.status).toMatchObject({ total: 1, delivered: 0, failed: [{ name: 'tls' }] });
  await rm(folder);
  await expect.poll(async () => text('tls').catch(() => undefined)).toBe('a');
});
