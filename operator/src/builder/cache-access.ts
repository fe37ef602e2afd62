// What Nix needs to write to the cache: a netrc, a key, or the credentials of an object store.
import { readFile } from 'node:fs/promises';
import { type Credentials, readSecret } from './credentials.ts';
import { BuildFailure } from './failure.ts';
import type { BuilderPaths } from './paths.ts';
import type { Scratch } from './scratch.ts';

async function token(file: string): Promise<string | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return text === '' ? undefined : text;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
}

/** Prepares uploads to `url`. A Secret for the cache goes before the projected token. */
export async function cacheAccess(url: string, paths: BuilderPaths, scratch: Scratch): Promise<Credentials> {
  const secret = await readSecret(paths.cacheSecret);
  const entries = secret['netrc'] === undefined ? [] : [secret['netrc'].trimEnd()];
  const projected = await token(paths.cacheToken);
  if (/^https?:/.test(url) && projected !== undefined) {
    // A token is base64url and dots, so it needs no quotes; anything else would break the file.
    if (!/^[A-Za-z0-9._~+/=-]+$/.test(projected)) {
      throw new BuildFailure('the token for the cache holds characters that no token has', {
        remedy: 'see how the Job mounts it',
      });
    }
    entries.push(`machine ${new URL(url).hostname} login floe password ${projected}`);
  }
  const variables: Record<string, string> = {};
  if (secret['aws-credentials'] !== undefined) {
    variables['AWS_SHARED_CREDENTIALS_FILE'] = await scratch.secret('aws-credentials', secret['aws-credentials']);
  }
  if (secret['identity'] !== undefined) {
    const identity = await scratch.secret('cache-identity', `${secret['identity'].trimEnd()}\n`);
    const hosts = await scratch.secret('cache-known-hosts', `${(secret['known_hosts'] ?? '').trimEnd()}\n`);
    variables['NIX_SSHOPTS'] =
      `-F /dev/null -i ${identity} -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=${hosts}`;
  }
  return {
    settings: {
      'netrc-file': await scratch.secret('netrc', `${entries.join('\n')}\n`),
      substitute: 'false',
      'download-attempts': '1',
      'narinfo-cache-negative-ttl': '0',
    },
    variables,
  };
}
