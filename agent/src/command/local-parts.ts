// What `run` has beside orders: the files of secrets, and the people at the machine with their socket.
import { spawn } from 'node:child_process';
import type { ConsentStatus } from '@floe/crds/consent';
import { diskFiles } from '../journal/files.ts';
import { runCommand } from '../machine/command.ts';
import { carriedEnvironment } from '../machine/environment.ts';
import { consentFile } from '../people/consent-file.ts';
import { desktopUsers, notifyDesktops } from '../people/desktop.ts';
import type { LocalAnswer } from '../people/local-protocol.ts';
import { serveLocal } from '../people/local-socket.ts';
import { People } from '../people/people.ts';
import { earlierSystem, rollbackArguments, userRollbackId } from '../people/user-rollback.ts';
import { readAccounts } from '../secrets/accounts.ts';
import { SecretFolder } from '../secrets/secret-folder.ts';
import { SecretKeeper } from '../secrets/secret-keeper.ts';
import { noReactions, systemdReactions } from '../secrets/unit-reactions.ts';
import type { World } from './compose.ts';
import { describeStatus, readStatus } from './status.ts';

/** Files of secrets for this machine. */
export function secretKeeper({ paths, log, clock, settings }: World): SecretKeeper {
  return new SecretKeeper({
    files: new SecretFolder(paths.secrets, { mustBeInMemory: paths.isHost }),
    accounts: () => readAccounts(paths),
    reactions: async () => (await settings()).secrets,
    units: paths.isHost ? systemdReactions(runCommand, (text) => log.warn(text)) : noReactions,
    log,
    now: () => clock.now().time,
  });
}

/** The people at this machine. `apart` is a world of its own: the agent's journal is read beside it. */
export function people(world: World, apart: World, signal: AbortSignal): People {
  const { paths, log } = world;
  const made = new People({
    store: consentFile(diskFiles, paths.state),
    notify: (title, body) => notify(world, title, body),
    rollback: () => rollBack(apart),
    status: async () => {
      const state = await readStatus(apart, AbortSignal.any([signal, AbortSignal.timeout(20_000)]));
      return { text: describeStatus(state), state };
    },
    log,
    now: () => new Date(),
  });
  signal.addEventListener('abort', () => made.close(), { once: true });
  return made;
}

/** What the users said last, as the agent has kept it. */
export function answered({ paths }: World): Promise<ConsentStatus | undefined> {
  return consentFile(diskFiles, paths.state)
    .load()
    .catch(() => undefined);
}

/** Opens the socket for them. Without it the agent works all the same, so a failure is a warning. */
export async function openSocket(world: World, to: People, signal: AbortSignal): Promise<void> {
  const { paths, log, settings } = world;
  try {
    const group = (await settings()).usersGroup;
    const gid = group === undefined ? undefined : (await readAccounts(paths)).group(group);
    if (group !== undefined && gid === undefined) {
      log.warn(`usersGroup: there is no group ${group} on the machine; only root may ask the agent`);
    }
    await serveLocal({ path: paths.socket, gid, handle: (request) => to.request(request), signal });
  } catch (error: unknown) {
    log.warn(`the users' socket ${paths.socket} can't be opened: ${error instanceof Error ? error.message : error}`);
  }
}

async function notify({ paths, settings, log }: World, title: string, body: string): Promise<void> {
  if (!paths.isHost) return;
  try {
    const group = (await settings()).usersGroup;
    const members = group === undefined ? [] : (await readAccounts(paths)).members(group);
    const users = await desktopUsers(runCommand, (user) => members.includes(user));
    await notifyDesktops(runCommand, users, { title, body });
  } catch (error: unknown) {
    log.info(`no notification: ${error instanceof Error ? error.message : error}`);
  }
}

/** Starts the way back in a process of its own, which outlives this agent. */
async function rollBack({ paths, ledger, machine, log }: World): Promise<LocalAnswer> {
  const journal = await ledger.refresh();
  const { current } = await machine.see();
  const earlier = earlierSystem(journal, current);
  if (earlier.kind === 'none') return { ok: false, message: earlier.message };
  const id = userRollbackId(new Date());
  const [program = '', ...first] = machine.program;
  const apply = rollbackArguments(earlier.closure, id);
  log.warn(`a user asks for the system before: attempt ${id}, ${earlier.closure}`);
  if (paths.isHost) {
    // Who asked can't be known from the socket; that it was a user stands beside the closure that is held.
    const unit = [
      '--setenv=SUDO_USER=a user',
      '--collect',
      '--quiet',
      '--no-ask-password',
      `--unit=floe-${id}`,
      ...carriedEnvironment(process.env),
    ];
    const started = await runCommand('systemd-run', [...unit, '--', program, ...first, ...apply], {
      signal: AbortSignal.timeout(30_000),
    });
    if (started.code !== 0)
      return { ok: false, message: `It could not be started: ${started.stderr.trim().slice(0, 300)}` };
  } else {
    spawn(program, [...first, '--root', paths.root, ...apply], { detached: true, stdio: 'ignore' }).unref();
  }
  const message = `Going back to ${earlier.closure}; floe-agent status says how far it is. Floe leaves the machine alone afterwards.`;
  return { ok: true, message };
}
