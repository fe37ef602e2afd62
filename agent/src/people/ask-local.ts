// Asks the agent over its local socket, and says in plain words why that can't be.
import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Accounts } from '../secrets/accounts.ts';
import { type LocalAnswer, type LocalRequest, MAX_ANSWER } from './local-protocol.ts';

export class LocalError extends Error {
  override readonly name = 'LocalError';
}

const LIMIT_MS = 35_000;

/** One request, one answer. Rejects with LocalError. */
export async function askLocal(
  path: string,
  request: LocalRequest,
  accounts: () => Promise<Accounts>,
): Promise<LocalAnswer> {
  try {
    return await exchange(path, request);
  } catch (error: unknown) {
    throw new LocalError(await explain(path, error, accounts), { cause: error });
  }
}

function exchange(path: string, request: LocalRequest): Promise<LocalAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('it does not answer')));
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > 2 * MAX_ANSWER) socket.destroy(new Error('its answer is too long'));
    });
    socket.on('end', () => {
      try {
        resolve(JSON.parse(text) as LocalAnswer);
      } catch {
        reject(new Error('its answer is not complete'));
      }
    });
    // Not ended here: a half-closed socket would be closed by the other side before it has answered.
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

async function explain(path: string, error: unknown, accounts: () => Promise<Accounts>): Promise<string> {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return `floe-agent does not run here (${path}: ${code}); an admin can start it: systemctl start floe-agent`;
  }
  if (code !== 'EACCES' && code !== 'EPERM') return `floe-agent can't be asked (${path}): ${message}`;
  const gid = await stat(path).then(
    (found) => found.gid,
    () => undefined,
  );
  const group = gid === undefined ? undefined : (await accounts()).groupName(gid);
  return group === undefined || group === 'root'
    ? `only root may ask floe-agent here; an admin can name a group: services.floe-agent.users.group`
    : `you are not in the group ${group}, whose members may ask floe-agent; an admin can add you, then log in again`;
}
