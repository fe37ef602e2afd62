// The way in for a machine whose key nobody has written down: a join token makes its key visible, a person approves it.
import { isJoinToken, type JoinSecret, joinObjectName, joinTokenName, keyFingerprint } from '@floe/crds/join-token';
import type { NixMachine, PendingKey } from '@floe/crds/nix-machine';
import { rfc3339 } from '@floe/crds/rfc3339';
import { canonicalKey } from '../conditions/identity.ts';
import type { ConfigMap, Secret } from '../kube/builtin.ts';
import { isConflict, isNotFound } from '../kube/error.ts';
import { type Refusal, unknownToken } from './admission.ts';
import { Recently } from './recently.ts';
import { notReady } from './session.ts';

/** Where the Secret of a token lies, and its counter. */
export type JoinKey = { readonly namespace: string; readonly name: string };

/** What the gate asks of the API server; every call is bounded in time by who makes it. */
export interface JoinApi {
  secret(key: JoinKey): Promise<Secret>;
  configMap(key: JoinKey): Promise<ConfigMap>;
  create(counter: ConfigMap): Promise<unknown>;
  /** Fails with 409 where the counter is no longer of that resourceVersion. */
  count(key: JoinKey, patch: { resourceVersion: string | undefined; used: number }): Promise<unknown>;
}

export type JoinAsk = {
  readonly token: string;
  /** `namespace/name` that the hello names. */
  readonly key: string;
  /** The machine of that name where it waits for a key; else nothing is looked up, and the answer is that to a wrong token. */
  readonly machine: NixMachine | undefined;
  readonly publicKey: string;
};

/** What becomes of a request to join. It is never let in here: a person has to approve the key. */
export type JoinAnswer = { readonly refusal: Refusal; readonly pendingKey?: PendingKey };

/** Seconds after which a machine asks again. */
const RETRY_PENDING = 15;
const RETRY_BAD = 60;
/** Tokens that are looked up at once, and seconds between two look-ups for one machine: strangers pay for none. */
const AT_ONCE = 8;
const BETWEEN_SECONDS = 5;
/** Tries to count a use while others count theirs. */
const TRIES = 4;

export class JoinGate {
  readonly #api: JoinApi;
  readonly #now: () => Date;
  readonly #asked = new Recently({ seconds: BETWEEN_SECONDS, limit: 10_000 });
  #running = 0;

  constructor({ api, now }: { api: JoinApi; now: () => Date }) {
    this.#api = api;
    this.#now = now;
  }

  /** Judges a request to join of a machine without identity, whose hello holds. Never rejects. */
  async ask(ask: JoinAsk): Promise<JoinAnswer> {
    const { key, machine, publicKey } = ask;
    const known = machine?.status?.pendingKey;
    // Asked before with this key: its use was counted then.
    if (machine !== undefined && known !== undefined && canonicalKey(known.publicKey) === publicKey) {
      return { refusal: pending(machine, publicKey) };
    }
    if (this.#running >= AT_ONCE || !this.#asked.isNew(key, performance.now() / 1000)) {
      return { refusal: { ...notReady('join tokens are asked about too often'), retryAfterSeconds: BETWEEN_SECONDS } };
    }
    if (machine === undefined) return { refusal: unknownToken() };
    this.#running += 1;
    try {
      return await this.#judge({ ...ask, machine });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { refusal: notReady(`the join token can't be looked up: ${why}`) };
    } finally {
      this.#running -= 1;
    }
  }

  async #judge({ token, machine, publicKey }: JoinAsk & { readonly machine: NixMachine }): Promise<JoinAnswer> {
    const name = joinTokenName(token);
    if (name === undefined) return { refusal: { ...unknownToken(), machine } };
    const { namespace = '' } = machine.metadata;
    const key = { namespace, name: joinObjectName(name) };
    const secret = await this.#api.secret(key).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const fault = secret === undefined ? 'nobodys' : faultOf(secret, { token, machine, now: this.#now() });
    if (secret === undefined || fault === 'nobodys') return { refusal: { ...unknownToken(), machine } };
    if (fault !== undefined) return { refusal: bad(machine, fault) };
    if (!(await this.#use(key, secret))) return { refusal: bad(machine, 'it is used up; make another') };
    const fingerprint = keyFingerprint(publicKey);
    return {
      refusal: pending(machine, publicKey),
      pendingKey: { fingerprint, publicKey: `ssh-ed25519 ${publicKey}`, since: rfc3339(this.#now()), token: name },
    };
  }

  /** Counts a use; false where there is none left. A lost race is run again, so that no use counts for two. */
  async #use(key: JoinKey, secret: Secret): Promise<boolean> {
    const uses = Number(textOf(secret, 'uses'));
    for (let tries = 1; ; tries++) {
      const counter = await this.#api.configMap(key).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      const used = counter === undefined ? 0 : Number(counter.data?.['used'] ?? Number.NaN);
      // A counter that can't be read counts for all.
      if (!(used < uses)) return false;
      try {
        if (counter === undefined) await this.#api.create(newCounter(key, secret));
        else await this.#api.count(key, { resourceVersion: counter.metadata.resourceVersion, used: used + 1 });
        return true;
      } catch (error) {
        if (!isConflict(error) || tries >= TRIES) throw error;
      }
    }
  }
}

/** The counter goes when its token goes. */
function newCounter(key: JoinKey, { metadata }: Secret): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      ...key,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Secret', name: metadata.name, uid: metadata.uid ?? '' }],
    },
    data: { used: '1' },
  };
}

function textOf(secret: Secret, field: keyof JoinSecret): string | undefined {
  const value = secret.data?.[field];
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
}

/** Why a token is not taken; `nobodys` where it is no token at all, which is said in the same words as that there is none. */
function faultOf(
  secret: Secret,
  { token, machine, now }: { token: string; machine: NixMachine; now: Date },
): string | undefined {
  if (secret.metadata.labels?.['floe.dev/join'] !== 'true') return 'nobodys';
  if (!isJoinToken(token, textOf(secret, 'sha256') ?? '')) return 'nobodys';
  const expires = Date.parse(textOf(secret, 'expiresAt') ?? '');
  if (!(now.getTime() < expires)) return 'it has expired; make another';
  const only = textOf(secret, 'machine');
  if (only !== undefined && only !== machine.metadata.name) return `it is for ${only} alone`;
  const selector = textOf(secret, 'selector');
  if (selector !== undefined && !matches(selector, machine.metadata.labels ?? {})) {
    return `it is for machines with the labels ${selector}`;
  }
  return undefined;
}

function matches(selector: string, labels: Readonly<Record<string, string>>): boolean {
  return selector.split(',').every((pair) => {
    const [key = '', value] = pair.split('=');
    return value !== undefined && Object.hasOwn(labels, key) && labels[key] === value;
  });
}

function pending(machine: NixMachine, publicKey: string): Refusal {
  const { namespace, name } = machine.metadata;
  return {
    kind: 'refused',
    reason: 'PendingApproval',
    message: `the key ${keyFingerprint(publicKey)} waits for a person's approval: kubectl floe approve machine/${name} -n ${namespace}`,
    retryAfterSeconds: RETRY_PENDING,
    machine,
  };
}

function bad(machine: NixMachine, why: string): Refusal {
  return {
    kind: 'refused',
    reason: 'BadToken',
    message: `the join token is not taken: ${why} (kubectl floe token create)`,
    retryAfterSeconds: RETRY_BAD,
    machine,
  };
}
