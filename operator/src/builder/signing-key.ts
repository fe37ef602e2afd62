// The namespace's signing key, checked before anything is signed with it.
import { readFile } from 'node:fs/promises';
import { publicKeyOf } from '@floe/crds/nix-key';
import { BuildFailure } from './failure.ts';

const FIELD = 'Secret floe-signing-key';

/** Reads the key. @throws BuildFailure when it is malformed or not the one whose public half machines trust */
export async function readSigningKey(file: string, expected: string): Promise<string> {
  let secret: string;
  try {
    secret = (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new BuildFailure("the namespace's signing key can't be read", {
      field: FIELD,
      remedy: 'give the Secret the key "secret"; where the Secret is missing the operator makes one',
      cause,
    });
  }
  const own = publicKeyOf(secret);
  if (own === undefined) {
    throw new BuildFailure("the namespace's signing key is malformed", {
      field: FIELD,
      remedy: 'store a key in the form name:base64, as `nix key generate-secret` prints it',
    });
  }
  if (own !== expected.trim()) {
    throw new BuildFailure(
      `the signing key ${own.split(':', 1)[0]} is not the one whose public half stands in the Secret`,
      {
        field: FIELD,
        remedy:
          'store both halves of one pair: "secret", and in "public" what `nix key convert-secret-to-public` prints',
      },
    );
  }
  return secret;
}
