// Join tokens: what stands in one, where its Secret lies, and how a key is named to a person.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Label of the Secrets that hold join tokens; its value is `true`. */
export const LABEL_JOIN = 'floe.dev/join';
/** Annotation on a NixMachine without `spec.identity`: the fingerprint of the key that is let in, `SHA256:…`. */
export const APPROVE_KEY = 'floe.dev/approve-key';

/** What the Secret of a token holds, as texts. */
export type JoinSecret = {
  /** SHA-256 of the whole token, 64 hex digits: whoever reads the Secret can't join with it. */
  readonly sha256: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** How many machines may join with it. */
  readonly uses: string;
  /** Name of the one NixMachine that it is for. */
  readonly machine?: string;
  /** Labels that a machine must have, `key=value,…`. */
  readonly selector?: string;
};

const FORM = /^floe-join\.([a-z0-9]{1,32})\.[A-Za-z0-9_-]{43}$/;

/** A new token: 256 random bits, with the name of its Secret so that it can be found without a search. */
export function newJoinToken(): { readonly name: string; readonly token: string } {
  const name = randomBytes(4).toString('hex');
  return { name, token: `floe-join.${name}.${randomBytes(32).toString('base64url')}` };
}

/** Name of the token in its Secret's name; undefined where the text is no join token. */
export function joinTokenName(token: string): string | undefined {
  return FORM.exec(token)?.[1];
}

/** Name of the Secret of a token, and of the ConfigMap that counts its uses. */
export function joinObjectName(name: string): string {
  return `floe-join-${name}`;
}

export function joinTokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Whether the token has that hash; takes as long wherever they differ. */
export function isJoinToken(token: string, sha256: string): boolean {
  const [given, wanted] = [Buffer.from(joinTokenHash(token)), Buffer.from(sha256)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** Fingerprint of a public key in wire form (base64), as `ssh-keygen -l` prints it: `SHA256:…`. */
export function keyFingerprint(blob: string): string {
  return `SHA256:${createHash('sha256')
    .update(Buffer.from(blob, 'base64'))
    .digest('base64')
    .replace(/(?<!=)=+$/, '')}`;
}
