// A scripted agent for the tests of the hub: a key, its signatures, and a WebSocket that says what it is told to.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { Hello, HubMessage, MachineState } from '@floe/crds/protocol';
import { SIGNATURE_NAMESPACE, signedText } from '@floe/crds/protocol-limits';
import { WebSocket } from 'ws';
import { OLD } from '../conditions/machine.fixture.ts';

/** A fresh SSH host key. */
export type MachineKey = {
  /** `ssh-ed25519 AAAA… comment` */
  readonly line: string;
  readonly canonical: string;
  /** Signs in SSHSIG form, armoured. */
  readonly sign: (text: string, namespace?: string) => string;
};

const wire = (bytes: Buffer | string): Buffer => {
  const body = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
};

export function machineKey(): MachineKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const blob = Buffer.concat([wire('ssh-ed25519'), wire(raw)]);
  return {
    line: `ssh-ed25519 ${blob.toString('base64')} host`,
    canonical: blob.toString('base64'),
    sign: (text, namespace = SIGNATURE_NAMESPACE) => {
      const digest = createHash('sha512').update(text).digest();
      const head = [wire(namespace), wire(''), wire('sha512')];
      const signed = Buffer.concat([Buffer.from('SSHSIG'), ...head, wire(digest)]);
      const signature = Buffer.concat([wire('ssh-ed25519'), wire(sign(null, signed, privateKey))]);
      const version = Buffer.from([0, 0, 0, 1]);
      const all = Buffer.concat([Buffer.from('SSHSIG'), version, wire(blob), ...head, wire(signature)]);
      return `-----BEGIN SSH SIGNATURE-----\n${all.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
    },
  };
}

/** A hello that holds, unless `over` spoils it after it was signed. */
export function helloFor(
  key: MachineKey,
  given: {
    nonce: string;
    host: string;
    namespace?: string;
    machine?: string;
    purpose?: Hello['purpose'];
    version?: number;
  },
  over: Partial<Hello> = {},
): Hello {
  const facts = {
    version: given.version ?? 1,
    purpose: given.purpose ?? ('session' as const),
    namespace: given.namespace ?? 'shop',
    machine: given.machine ?? 'web-01',
    host: given.host,
    time: '2026-03-01T10:00:00Z',
  };
  return {
    type: 'hello',
    ...facts,
    publicKey: key.line,
    signature: key.sign(signedText({ ...facts, nonce: given.nonce })),
    agent: { version: '0.1.0' },
    ...over,
  };
}

/** State of a machine that runs OLD and has nothing in hand. */
export function machineState(over: Partial<MachineState> = {}): MachineState {
  return {
    current: { closure: OLD },
    booted: { closure: OLD },
    bootDefault: { closure: OLD },
    sequence: 0,
    reboot: { required: false, reasons: [] },
    failedUnits: [],
    facts: {},
    ...over,
  };
}

/** A WebSocket to a hub that keeps what it hears. */
export class ScriptedAgent {
  readonly heard: HubMessage[] = [];
  readonly host: string;
  readonly #socket: WebSocket;
  readonly #waiting: (() => void)[] = [];
  closed: { code: number; reason: string } | undefined;
  refusedStatus: number | undefined;

  constructor(port: number, headers: Record<string, string> = {}) {
    this.host = headers['host'] ?? `localhost:${port}`;
    this.#socket = new WebSocket(`wss://localhost:${port}/agent`, {
      rejectUnauthorized: false,
      headers,
      perMessageDeflate: false,
    });
    this.#socket.on('message', (data) => {
      this.heard.push(JSON.parse(String(data)) as HubMessage);
      this.#wake();
    });
    this.#socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#wake();
    });
    this.#socket.on('unexpected-response', (_request, response) => {
      this.refusedStatus = response.statusCode;
      this.#socket.terminate();
    });
    this.#socket.on('error', () => undefined);
  }

  /** Waits for the first message of a type that was not taken yet, and takes it. Throws when the connection ends before. */
  async take<T extends HubMessage['type']>(type: T): Promise<Extract<HubMessage, { type: T }>> {
    for (;;) {
      const index = this.heard.findIndex((message) => message.type === type);
      if (index >= 0) return this.heard.splice(index, 1)[0] as Extract<HubMessage, { type: T }>;
      if (this.closed !== undefined)
        throw new Error(`closed (${this.closed.code} ${this.closed.reason}) before a ${type}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async ended(): Promise<{ code: number; reason: string }> {
    while (this.closed === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.closed;
  }

  send(message: unknown): void {
    this.#socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }

  /** Vanishes without a word, as a machine that loses power. */
  vanish(): void {
    this.#socket.terminate();
  }

  /** Says hello and waits for the answer. */
  async hello(
    key: MachineKey,
    given: { namespace?: string; machine?: string; purpose?: Hello['purpose'] } = {},
  ): Promise<this> {
    const { nonce } = await this.take('challenge');
    this.send(helloFor(key, { nonce, host: this.host, ...given }));
    await this.take('welcome');
    return this;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
