import type { NixMachine } from '@floe/crds/nix-machine';
import type { Hello } from '@floe/crds/protocol';
import { describe, expect, test } from 'vitest';
import { machineIndexes } from '../conditions/indexes.ts';
import { machine } from '../conditions/machine.fixture.ts';
import { Store } from '../kube/store.ts';
import { admit, forStrangers, type MachineDirectory, stillAdmitted } from './admission.ts';
import { helloFor, machineKey } from './agent.fixture.ts';

const key = machineKey();
const other = machineKey();
const NONCE = 'n'.repeat(44);
const HOST = 'hub.example:8443';

const withKey = (name: string, line: string | undefined, namespace = 'shop'): NixMachine => {
  const made = machine(undefined, line === undefined ? {} : { identity: { sshHostKey: line } });
  return { ...made, metadata: { ...made.metadata, name, namespace } };
};
function directory(...machines: NixMachine[]): Store<NixMachine> {
  const store = new Store<NixMachine>({ indexes: machineIndexes });
  for (const one of machines) store.put(one);
  return store;
}
const known = directory(withKey('web-01', key.line));
const judge = (hello: Hello, machines = known, host = HOST, nonce = NONCE) => {
  const result = admit(hello, { nonce, host, machines });
  return result.kind === 'admitted' ? 'admitted' : result.reason;
};
const good = (over: Partial<Hello> = {}, given: Partial<Parameters<typeof helloFor>[1]> = {}) =>
  helloFor(key, { nonce: NONCE, host: HOST, ...given }, over);
/** Made on that day of the month. */
const made = (one: NixMachine, day: number): NixMachine => ({
  ...one,
  metadata: { ...one.metadata, creationTimestamp: `2026-03-0${day}T10:00:00Z` },
});

describe('admit', () => {
  test.each<[string, string, string]>([
    ['a good hello', judge(good()), 'admitted'],
    ['a good hello to confirm', judge(good({}, { purpose: 'confirm' })), 'admitted'],
    [
      'host in other case, port of https',
      judge(good({}, { host: 'HUB.example' }), known, 'hub.example:443'),
      'admitted',
    ],
    ['a version of tomorrow', judge(good({}, { version: 9 })), 'UnsupportedVersion'],
    ['another host', judge(good({}, { host: 'evil.example' })), 'WrongHost'],
    ['host changed after signing', judge(good({ host: 'evil.example' }), known, 'evil.example'), 'BadSignature'],
    ['a nonce of another connection', judge(good(), known, HOST, 'm'.repeat(44)), 'BadSignature'],
    ['another machine named after signing', judge(good({ machine: 'web-02' })), 'BadSignature'],
    ['another purpose named after signing', judge(good({ purpose: 'confirm' })), 'BadSignature'],
    ['a key that did not sign', judge(good({ publicKey: other.line })), 'BadSignature'],
    ['no key at all', judge(good({ publicKey: 'ssh-rsa AAAA' })), 'BadSignature'],
    ['signed for another use', judge(good({ signature: key.sign('x', 'git') })), 'BadSignature'],
    ['no signature', judge(good({ signature: '' })), 'BadSignature'],
    ['a name nobody knows', judge(good({}, { machine: 'web-09' })), 'UnknownMachine'],
    ['the same name elsewhere', judge(good({}, { namespace: 'other' })), 'UnknownMachine'],
    ['a machine without key', judge(good(), directory(withKey('web-01', undefined))), 'NoIdentity'],
    [
      'a machine whose key is unreadable',
      judge(good(), directory(withKey('web-01', 'ssh-ed25519 AAAA'))),
      'NoIdentity',
    ],
    ['a machine with another key', judge(good(), directory(withKey('web-01', other.line))), 'WrongKey'],
    [
      "another machine's name",
      judge(good({}, { machine: 'web-02' }), directory(withKey('web-01', key.line), withKey('web-02', other.line))),
      'WrongKey',
    ],
    [
      'a machine whose key another namespace has written down, too',
      judge(good(), directory(withKey('web-01', key.line), withKey('db-01', `${key.line} again`, 'other'))),
      'admitted',
    ],
    [
      'the newer of two machines of a namespace with one key',
      judge(good(), directory(made(withKey('web-01', key.line), 2), made(withKey('web-02', key.line), 1))),
      'DuplicateKey',
    ],
    [
      'the older of two',
      judge(good(), directory(made(withKey('web-01', key.line), 1), made(withKey('web-02', key.line), 2))),
      'admitted',
    ],
    [
      'the first by name of two that are equally old',
      judge(good(), directory(made(withKey('web-01', key.line), 1), made(withKey('web-02', key.line), 1))),
      'admitted',
    ],
  ])('%s', (_name, found, wanted) => {
    expect(found).toBe(wanted);
  });

  test('a refusal names what to do, and the machine where it exists', () => {
    const result = admit(good(), { nonce: NONCE, host: HOST, machines: directory(withKey('web-01', other.line)) });
    expect(result).toMatchObject({ kind: 'refused', machine: { metadata: { name: 'web-01' } } });
    expect(result.kind === 'refused' && result.message).toContain('spec.identity.sshHostKey');
  });
});

test('who is in stays in until key or machine change', () => {
  expect(stillAdmitted('shop/web-01', key.canonical, known)).toBeUndefined();
  expect(stillAdmitted('shop/web-01', other.canonical, known)?.reason).toBe('WrongKey');
  expect(stillAdmitted('shop/web-01', key.canonical, directory())?.reason).toBe('UnknownMachine');
});

test('the newer of two hears that it should go, or have a key of its own, and how to make one', () => {
  const twins = directory(made(withKey('web-01', key.line), 2), made(withKey('web-00', key.line), 1));
  const refusal = stillAdmitted('shop/web-01', key.canonical, twins);
  expect(refusal?.message).toContain('older NixMachine web-00, which keeps it');
  expect(refusal?.message).toContain('kubectl delete nixmachine web-01 -n shop');
  expect(refusal?.message).toContain('rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -A');
});

describe('strangers', () => {
  const told = (machines: MachineDirectory, joining: boolean) => {
    const result = admit(good(), { nonce: NONCE, host: HOST, machines });
    if (result.kind !== 'refused') throw new Error('let in');
    const { machine: _, ...said } = forStrangers(result, 'shop/web-01', { isJoining: joining });
    return said;
  };
  test.each([false, true])('learn nothing of which machines there are (with a join token: %s)', (joining) => {
    const none = told(directory(), joining);
    expect(told(directory(withKey('web-01', undefined)), joining)).toEqual(none);
    expect(told(directory(withKey('web-01', other.line)), joining)).toEqual(none);
    const { spec, ...rest } = withKey('web-01', other.line);
    const target = { ssh: { host: 'web-01', secretRef: { name: 'floe-ssh' } } };
    expect(told(directory({ ...rest, spec: { ...spec, target } }), joining)).toEqual(none);
  });
});

test('an agent of a machine that is reached by SSH is not let in', () => {
  const { spec, ...rest } = withKey('web-01', key.line);
  const target = { ssh: { host: 'web-01', secretRef: { name: 'floe-ssh' } } };
  expect(judge(good(), directory({ ...rest, spec: { ...spec, target } }))).toBe('OtherTarget');
  expect(judge(good(), directory({ ...rest, spec: { ...spec, target: { agent: {} } } }))).toBe('admitted');
});
