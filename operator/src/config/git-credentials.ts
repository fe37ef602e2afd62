// Hands the credentials of a Secret to git: through files in a private folder and environment variables, never arguments.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from './source.ts';

/** Values of a Secret, decoded. */
export type SecretValues = Readonly<Record<string, string>>;

export type GitAccess =
  | { readonly kind: 'ok'; readonly env: Readonly<Record<string, string>> }
  | { readonly kind: 'problem'; readonly problem: Problem };

const FIELD = 'spec.source.git.secretRef';

/**
 * Writes what git needs into `folder`, which only this process may read, and returns the variables that point to it.
 * git asks nobody, reads no configuration of the machine, and speaks only the protocols that a source may have.
 */
export async function gitAccess(url: string, secret: SecretValues | undefined, folder: string): Promise<GitAccess> {
  const { protocol, origin, username: user } = new URL(url);
  // A repository on a shared volume belongs to somebody else, which git refuses by itself. This must stand in a file:
  // git hides GIT_CONFIG_COUNT from the process that reads such a repository.
  const config: string[] = ['[safe]', 'directory = *', '[credential]', 'helper = '];
  const env: Record<string, string> = {
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(folder, 'gitconfig'),
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:file',
    GIT_ASKPASS: 'true',
    LC_ALL: 'C',
  };
  if (protocol === 'ssh:') {
    const command = await sshCommand(secret, folder);
    if (typeof command !== 'string') return { kind: 'problem', problem: command };
    env['GIT_SSH_COMMAND'] = command;
  } else if (secret !== undefined && protocol !== 'file:') {
    const problem = await httpCredentials(origin, secret, { folder, user, config });
    if (problem !== undefined) return { kind: 'problem', problem };
  }
  await writeFile(join(folder, 'gitconfig'), `${config.join('\n')}\n`, { mode: 0o600 });
  return { kind: 'ok', env };
}

async function httpCredentials(
  origin: string,
  secret: SecretValues,
  to: { folder: string; user: string; config: string[] },
): Promise<Problem | undefined> {
  const token = secret['bearerToken']?.trim();
  if (token !== undefined && token !== '') {
    if (!/^[\x21-\x7e]+$/.test(token)) return lacking('bearerToken is not a single word', 'store the token alone');
    // Only for this server: a redirect elsewhere must not carry it along.
    to.config.push(
      `[http "${origin}/"]`,
      `extraHeader = "Authorization: Bearer ${token.replaceAll(/["\\]/g, '\\$&')}"`,
    );
    return undefined;
  }
  const password = secret['password'];
  const username = secret['username'] ?? decodeURIComponent(to.user);
  if (password === undefined || username === '') {
    return lacking('holds neither username and password nor bearerToken', 'add those keys to the Secret');
  }
  const line = new URL(origin);
  line.username = encodeURIComponent(username.trim());
  line.password = encodeURIComponent(password.replace(/\r?\n$/, ''));
  const file = join(to.folder, 'credentials');
  await writeFile(file, `${line.href.replace(/\/$/, '')}\n`, { mode: 0o600 });
  to.config.push('[credential]', `helper = store --file=${file}`);
  return undefined;
}

/** The command by which git starts ssh, or what the Secret lacks. The folder's path holds no blanks or quotes. */
export async function sshCommand(secret: SecretValues | undefined, folder: string): Promise<string | Problem> {
  const identity = secret?.['identity'];
  const hosts = secret?.['known_hosts'];
  if (identity === undefined || hosts === undefined) {
    return lacking(
      `an ssh:// URL needs ${identity === undefined ? 'identity' : 'known_hosts'}`,
      'name a Secret with the keys identity (a private key) and known_hosts (a line of ssh-keyscan)',
    );
  }
  const files = { identity: join(folder, 'identity'), hosts: join(folder, 'known_hosts') };
  await writeFile(files.identity, identity.endsWith('\n') ? identity : `${identity}\n`, { mode: 0o600 });
  await writeFile(files.hosts, hosts.endsWith('\n') ? hosts : `${hosts}\n`, { mode: 0o600 });
  const options = ['BatchMode=yes', 'IdentitiesOnly=yes', 'StrictHostKeyChecking=yes', 'ConnectTimeout=15'];
  options.push(`UserKnownHostsFile=${files.hosts}`, 'GlobalKnownHostsFile=/dev/null');
  return `ssh -F /dev/null -i ${files.identity} ${options.map((option) => `-o ${option}`).join(' ')}`;
}

function lacking(message: string, remedy: string): Problem {
  return { reason: 'SecretIncomplete', field: FIELD, message, remedy, transient: true };
}
