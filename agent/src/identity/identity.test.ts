// Host keys and signatures against OpenSSH itself.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signedText } from '@floe/crds/protocol-limits';
import { verifySshSignature } from '@floe/operator/hub/sshsig';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeHostKey } from './make-host-key.ts';
import { HostKeyError, parseHostKey } from './openssh-key.ts';
import { sshSign } from './sshsig.ts';

let folder = '';
const file = (name: string) => join(folder, name);

function keygen(...args: string[]): void {
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'root@web-01', ...args], { stdio: 'pipe' });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-key-'));
  keygen('-t', 'ed25519', '-f', file('ed25519'));
  keygen('-t', 'rsa', '-b', '2048', '-f', file('rsa'));
  keygen('-t', 'rsa', '-b', '2048', '-m', 'PEM', '-f', file('pem'));
  execFileSync('ssh-keygen', ['-q', '-N', 'secret', '-t', 'ed25519', '-f', file('encrypted')]);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const text = signedText({
  version: 1,
  purpose: 'session',
  host: 'hub.example:8443',
  namespace: 'shop',
  machine: 'web-01',
  nonce: Buffer.alloc(32, 1).toString('base64'),
  time: '2026-01-01T00:00:00.000Z',
});

test('the public half is the one that ssh-keygen wrote', async () => {
  const key = parseHostKey(await readFile(file('ed25519'), 'utf8'));
  const written = await readFile(file('ed25519.pub'), 'utf8');
  expect(written.startsWith(`${key.publicKey} `)).toBe(true);
});

test('ssh-keygen -Y verify accepts the signature, and not for another purpose or text', async () => {
  const key = parseHostKey(await readFile(file('ed25519'), 'utf8'));
  await writeFile(file('allowed'), `web-01 ${key.publicKey}\n`);
  await writeFile(file('sig'), sshSign(key, 'floe-agent', text));
  const verify = (namespace: string, input: string) =>
    execFileSync(
      'ssh-keygen',
      ['-Y', 'verify', '-f', file('allowed'), '-I', 'web-01', '-n', namespace, '-s', file('sig')],
      { input, stdio: 'pipe' },
    );
  expect(verify('floe-agent', text).toString()).toContain('Good "floe-agent" signature');
  expect(() => verify('git', text)).toThrow();
  expect(() => verify('floe-agent', `${text}x`)).toThrow();
});

test('the hub accepts what is signed with a key of either origin', async () => {
  for (const key of [parseHostKey(await readFile(file('ed25519'), 'utf8')), makeHostKey()]) {
    const signature = sshSign(key, 'floe-agent', text);
    const publicKey = key.publicKey.split(' ')[1] ?? '';
    expect(verifySshSignature(signature, { text, namespace: 'floe-agent', publicKey })).toBe(true);
  }
});

test.each([
  { name: 'rsa', says: 'use an ed25519 key' },
  { name: 'pem', says: "no private key in OpenSSH's format" },
  { name: 'encrypted', says: 'it is encrypted' },
])('a key of kind $name is refused with the remedy', async ({ name, says }) => {
  const content = await readFile(file(name), 'utf8');
  expect(() => parseHostKey(content)).toThrow(HostKeyError);
  expect(() => parseHostKey(content)).toThrow(says);
  expect(() => parseHostKey(content)).toThrow('ssh-keygen -t ed25519');
});

test('no damage of a key ends in anything but HostKeyError or the same key', async () => {
  const content = await readFile(file('ed25519'), 'utf8');
  const good = parseHostKey(content).publicKey;
  for (let at = 0; at < content.length; at += 3) {
    const damaged = `${content.slice(0, at)}B${content.slice(at + 1)}`;
    try {
      // The comment and the padding are not looked at.
      expect(parseHostKey(damaged).publicKey).toBe(good);
    } catch (error: unknown) {
      expect(error).toBeInstanceOf(HostKeyError);
    }
  }
});
