// `floe-agent approve | defer | rollback`, and `status` for those who are not root: asks the agent that runs.

import { pathsUnder } from '../paths.ts';
import { askLocal } from '../people/ask-local.ts';
import type { LocalRequest } from '../people/local-protocol.ts';
import { readAccounts } from '../secrets/accounts.ts';
import type { Command } from './command-line.ts';

type Asking = Extract<Command, { kind: 'approve' | 'defer' | 'rollback' | 'status' }>;

/** Whether a command always goes to the agent that runs. */
export function isForAgent(command: Command): command is Exclude<Asking, { kind: 'status' }> {
  return command.kind === 'approve' || command.kind === 'defer' || command.kind === 'rollback';
}

/** Root reads the status itself, also while no agent runs; others ask the agent. */
export function isUserStatus(command: Command): command is Extract<Asking, { kind: 'status' }> {
  return command.kind === 'status' && command.root === '/' && process.geteuid?.() !== 0;
}

function requestOf(command: Asking): LocalRequest {
  if (command.kind !== 'defer') return { verb: command.kind };
  return command.duration === undefined ? { verb: 'defer' } : { verb: 'defer', duration: command.duration };
}

/** Asks, prints the answer, and returns the exit code. */
export async function runAsk(command: Asking): Promise<number> {
  const paths = pathsUnder(command.root);
  const { ok, message, state } = await askLocal(paths.socket, requestOf(command), () => readAccounts(paths));
  const json = command.kind === 'status' && command.json;
  process.stdout.write(`${json ? JSON.stringify(state) : message}\n`);
  return ok ? 0 : 1;
}
