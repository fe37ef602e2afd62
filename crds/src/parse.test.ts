// Tables of what is refused at the edges, with the field and the words that people read.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAgentMessage, parseNixConfig, parseNixMachine, parseRollout } from './parse.ts';
import { parseHubMessage } from './parse-hub.ts';

const config = (spec: unknown) => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixConfig',
  metadata: { name: 'a' },
  spec,
});
const inline = { inline: { files: { 'flake.nix': '{ }' } } };
const rollout = (spec: object) => ({ metadata: { name: 'a' }, spec: { configRef: { name: 'web' }, ...spec } });

describe('NixConfig', () => {
  test.each([
    [{ source: inline }],
    [{ source: { flake: 'github:acme/fleet' }, interval: '1h30m' }],
    [{ source: { git: { url: 'https://git.example/fleet', ref: { branch: 'main' } } } }],
  ])('accepts %j', (spec) => {
    expect(parseNixConfig(config(spec))).toMatchObject({ ok: true });
  });

  test.each([
    [{}, 'spec', 'the field source is missing'],
    [{ source: {} }, 'spec.source', 'set exactly one of flake, git, inline'],
    [{ source: { ...inline, flake: 'x' } }, 'spec.source', 'set exactly one of flake, git, inline'],
    [{ source: { inline: { files: { a: '' } } } }, 'spec.source.inline.files', 'add a file flake.nix'],
    [{ source: inline, interval: 'often' }, 'spec.interval', 'does not match ^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$'],
    [{ source: inline, delivery: 'Now' }, 'spec.delivery', 'use one of Rollout, Immediate'],
    [
      { source: { git: { url: 'https://x', ref: { branch: 'a', tag: 'b' } } } },
      'spec.source.git.ref',
      'set exactly one of branch, tag, commit',
    ],
  ])('refuses %j', (spec, field, message) => {
    expect(parseNixConfig(config(spec))).toEqual({ ok: false, field, message });
  });
});

const withChecks = (check: object) => ({
  configRef: { name: 'web' },
  activation: { healthChecks: [{ name: 'a', ...check }] },
});

describe('NixMachine', () => {
  test.each([
    [withChecks({ systemd: { units: ['nginx.service'] } })],
    [withChecks({ systemd: { units: ['getty@tty1.service', 'dev-disk-by\\x2dlabel-root.device', 'nginx'] } })],
    [withChecks({ http: { url: 'https://localhost:8443/ok', status: [204], body: { matches: '^ok$' } }, grace: '5s' })],
    [withChecks({ tcp: { port: 22 }, interval: '1s', successes: 3 })],
    [withChecks({ named: 'database' })],
    [{ configRef: { name: 'web' }, activation: { drift: 'Revert', generations: { keep: 5, maxAge: '720h' } } }],
  ])('accepts %j', (spec) => {
    expect(parseNixMachine({ metadata: { name: 'm' }, spec })).toMatchObject({ ok: true });
  });

  test.each([
    [{ configRef: { name: 'web' }, identity: { sshHostKey: 'ssh-rsa AAAA' } }, 'spec.identity.sshHostKey'],
    [{ configRef: { name: 'web' }, activation: { healthChecks: [{ name: 'a' }] } }, 'spec.activation.healthChecks[0]'],
    [{ configRef: { name: 'Web' } }, 'spec.configRef.name'],
    [withChecks({ tcp: { port: 22 }, named: 'a' }), 'spec.activation.healthChecks[0]'],
    [withChecks({ tcp: { port: 0 } }), 'spec.activation.healthChecks[0].tcp.port'],
    [withChecks({ http: { url: 'ftp://x' } }), 'spec.activation.healthChecks[0].http.url'],
    [
      withChecks({ http: { url: 'http://x/', body: { matches: '(' } } }),
      'spec.activation.healthChecks[0].http.body.matches',
    ],
    [
      withChecks({ systemd: { units: ['ok.service', 'nginx*.service'] } }),
      'spec.activation.healthChecks[0].systemd.units[1]',
    ],
    [withChecks({ systemd: { units: ['a.service b.service'] } }), 'spec.activation.healthChecks[0].systemd.units[0]'],
    [withChecks({ systemd: { units: [] } }), 'spec.activation.healthChecks[0].systemd.units'],
    [withChecks({ named: '../x' }), 'spec.activation.healthChecks[0].named'],
    [{ configRef: { name: 'web' }, activation: { drift: 'Fight' } }, 'spec.activation.drift'],
    [{ configRef: { name: 'web' }, activation: { generations: {} } }, 'spec.activation.generations'],
    [{ configRef: { name: 'web' }, activation: { generations: { keep: 0 } } }, 'spec.activation.generations.keep'],
  ])('refuses %j', (spec, field) => {
    expect(parseNixMachine({ metadata: { name: 'm' }, spec })).toMatchObject({ ok: false, field });
  });
});

describe('Rollout', () => {
  test.each([
    [{ steps: [{ batch: { size: 1 } }, { pause: {} }] }],
    [{ steps: [{ batch: { size: '10%', selector: { matchLabels: { role: 'db' } } } }], maxUnavailable: 3 }],
    [{}],
  ])('accepts %j', (spec) => {
    expect(parseRollout(rollout(spec))).toMatchObject({ ok: true });
  });

  test.each([
    [
      { steps: [{ pause: {} }, { batch: { size: '0%' } }] },
      'spec.steps[1].batch.size',
      '"0%" selects nobody; use a count or a share above 0 %',
    ],
    [{ maxUnavailable: 0 }, 'spec.maxUnavailable', '0 selects nobody; use a count or a share above 0 %'],
    [
      { maxUnavailable: 'all' },
      'spec.maxUnavailable',
      '"all" is neither a count above 0 nor a share from "1%" to "100%"',
    ],
    [{ steps: [{}] }, 'spec.steps[0]', 'set exactly one of batch, pause, analysis'],
    [{ steps: [{ batch: {} }] }, 'spec.steps[0].batch', 'set size, selector or both'],
    [{ successThreshold: 101 }, 'spec.successThreshold', 'must be <= 100'],
  ])('refuses %j', (spec, field, message) => {
    expect(parseRollout(rollout(spec))).toEqual({ ok: false, field, message });
  });
});

describe('messages', () => {
  test('an unknown type names the known ones', () => {
    expect(parseAgentMessage({ type: 'desired' })).toEqual({
      ok: false,
      field: 'type',
      message: 'use one of hello, report, confirm, wantSecrets',
    });
  });

  test('no value makes a parser throw', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        for (const parse of [parseAgentMessage, parseHubMessage, parseNixConfig, parseRollout]) {
          expect(typeof parse(value).ok).toBe('boolean');
        }
      }),
    );
  });

  test('names inherited by every object are no message types', () => {
    expect(parseHubMessage({ type: 'constructor' })).toMatchObject({ ok: false, field: 'type' });
  });
});

describe('what an agent says', () => {
  const state = (over: object = {}) => ({
    sequence: 0,
    reboot: { required: false, reasons: [] },
    failedUnits: [],
    facts: {},
    ...over,
  });
  const attempt = (over: object) => ({ attempt: { desiredId: 'a', to: 'x', phase: 'Testing', ...over } });
  const parsed = (over: object = {}) => parseAgentMessage({ type: 'report', seq: 1, state: state(over) });

  test('known fields alone travel on', () => {
    const junk = { junk: 'x'.repeat(1000) };
    const result = parseAgentMessage({
      type: 'report',
      seq: 1,
      ...junk,
      state: state({ ...junk, facts: { kernel: '6' }, ...attempt({ ...junk, phase: 'Testing' }) }),
    });
    expect(JSON.stringify(result)).not.toContain('junk');
    expect(result).toMatchObject({
      ok: true,
      value: { state: { facts: { kernel: '6' }, attempt: { phase: 'Testing' } } },
    });
  });

  test('no terminal obeys it', () => {
    const result = parsed({ facts: { kernel: '\u001b[2J6' }, ...attempt({ message: 'a\u009bb\u0007\nc' }) });
    expect(result).toMatchObject({
      ok: true,
      value: { state: { facts: { kernel: '6' }, attempt: { message: 'ab\nc' } } },
    });
  });

  test.each([
    '2026-02-30T10:00:00Z',
    '2026-99-01T10:00:00Z',
    '2026-12-31T23:59:60Z',
    '2025-02-29T10:00:00Z',
    '2026-01-01T24:00:00Z',
  ])('there is no %s', (startedAt) => {
    expect(parsed(attempt({ startedAt }))).toMatchObject({ ok: false, field: 'state.attempt.startedAt' });
  });

  test.each(['2024-02-29T10:00:00Z', '2026-01-31T23:59:59.123456789+14:00', '2000-02-29T00:00:00-03:30'])(
    'there is %s',
    (startedAt) => {
      expect(parsed(attempt({ startedAt })).ok).toBe(true);
    },
  );

  test.each<[string, object]>([
    ['a number that is none', { secrets: { generation: Number.POSITIVE_INFINITY, total: 0, delivered: 0 } }],
    ['a sequence beyond what a number holds', { sequence: 2 ** 53 }],
    ['an exit code beyond it', attempt({ exitCode: 1e300 })],
  ])('%s is refused', (_, over) => {
    expect(parsed(over).ok).toBe(false);
  });

  test('a seq of 1e400 is refused', () => {
    expect(parseAgentMessage({ type: 'report', seq: JSON.parse('1e400'), state: state() })).toMatchObject({
      ok: false,
      field: 'seq',
    });
  });
});
