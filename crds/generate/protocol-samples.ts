// Sample messages of the agent protocol and one signature to test a client with; the same on every run.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { SIGNATURE_NAMESPACE, signedText } from '../src/protocol-limits.ts';

/** Seed of the test key: bytes 0 to 31. Nobody's host key. */
const SEED = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
/** DER in front of the seed of an ed25519 key (PKCS #8). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const CLOSURE = '/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-web-01-26.05';
const BEFORE = '/nix/store/zyxwvsrqpnmlkjihgfdcba9876543210-nixos-system-web-01-26.05';

function wire(value: Buffer | string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Everything that is needed to sign a hello, and what must come out. */
function vector() {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, SEED]), format: 'der', type: 'pkcs8' });
  const point = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  const blob = Buffer.concat([wire('ssh-ed25519'), wire(point)]);
  const facts = {
    version: 1,
    purpose: 'session',
    host: 'floe.example.com:8443',
    namespace: 'fleet',
    machine: 'web-01',
    nonce: Buffer.alloc(32, 0xab).toString('base64'),
    time: '2026-03-01T10:00:00Z',
  };
  const text = signedText(facts);
  const head = [wire(SIGNATURE_NAMESPACE), wire(''), wire('sha512')];
  const digest = createHash('sha512').update(text).digest();
  const toSign = Buffer.concat([Buffer.from('SSHSIG'), ...head, wire(digest)]);
  const signature = Buffer.concat([wire('ssh-ed25519'), wire(sign(null, toSign, key))]);
  const all = Buffer.concat([Buffer.from('SSHSIG'), Buffer.from([0, 0, 0, 1]), wire(blob), ...head, wire(signature)]);
  const lines = all.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    seed: SEED.toString('hex'),
    publicKey: `ssh-ed25519 ${blob.toString('base64')}`,
    ...facts,
    text,
    bytesToSign: toSign.toString('hex'),
    signature: `-----BEGIN SSH SIGNATURE-----\n${lines.join('\n')}\n-----END SSH SIGNATURE-----\n`,
  };
}

/** The content of docs/spec/agent-protocol-samples.json. */
export function protocolSamples() {
  const signed = vector();
  const { version, purpose, host, namespace, machine, time, publicKey, signature, nonce } = signed;
  const attempt = { desiredId: '5f2d9c1ab3e47788', revision: '3f9c2ab41c07', from: BEFORE, to: CLOSURE };
  return {
    signature: signed,
    fromHub: [
      { type: 'challenge', nonce, versions: [1] },
      { type: 'welcome', version: 1, replica: 'floe-operator-0', heartbeatSeconds: 20 },
      { type: 'refused', reason: 'NotReady', message: 'this replica has just started', retryAfterSeconds: 2 },
      {
        type: 'desired',
        id: attempt.desiredId,
        sequence: 12,
        revision: attempt.revision,
        closure: CLOSURE,
        go: true,
        mode: 'switch',
        switchTimeoutSeconds: 600,
        confirmTimeoutSeconds: 120,
        healthChecks: [{ name: 'web', http: { url: 'http://localhost/healthz' } }],
        substituters: ['https://cache.example.com/fleet'],
        reason: 'Rollout',
      },
      { type: 'ack', seq: 2 },
      { type: 'confirmed', attempt: attempt.desiredId },
      { type: 'denied', attempt: attempt.desiredId, reason: 'Superseded', message: 'the order is now 77aa' },
    ],
    fromAgent: [
      {
        type: 'hello',
        version,
        purpose,
        namespace,
        machine,
        host,
        time,
        publicKey,
        signature,
        agent: { version: '0.1.0' },
      },
      {
        type: 'report',
        seq: 1,
        state: {
          current: { closure: BEFORE },
          booted: { closure: BEFORE },
          bootDefault: { closure: BEFORE },
          sequence: 0,
          reboot: { required: false, reasons: [] },
          failedUnits: [],
          facts: { hostName: 'web-01', system: 'x86_64-linux' },
        },
      },
      {
        type: 'report',
        seq: 2,
        state: {
          current: { closure: CLOSURE },
          booted: { closure: BEFORE },
          bootDefault: { closure: BEFORE },
          sequence: 12,
          attempt: { ...attempt, phase: 'Confirming', startedAt: '2026-03-01T10:00:05Z' },
          reboot: { required: false, reasons: [] },
          failedUnits: [],
          facts: { hostName: 'web-01', system: 'x86_64-linux' },
        },
      },
      { type: 'confirm', attempt: attempt.desiredId, closure: CLOSURE },
      { type: 'wantSecrets', names: ['api-key'] },
    ],
  };
}
