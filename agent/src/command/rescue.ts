// `floe-agent rescue`: what the dead-man timer runs, out of the old closure: undoes an attempt that was not kept in time.

import { runOf } from '../attempt/act.ts';
import { drive } from '../attempt/drive.ts';
import { overdue, rescued } from '../attempt/overdue.ts';
import type { AttemptPorts } from '../attempt/ports.ts';
import { lastHolder, tryLock } from '../journal/lock.ts';
import type { Command } from './command-line.ts';
import type { World } from './compose.ts';

type Rescue = Extract<Command, { kind: 'rescue' }>;

/** A process that holds the lock at the deadline has this long to let go. */
const PATIENCE_MS = 3_000;
const BLIND_LIMIT_SECONDS = 600;

/** Makes sure that nobody else acts on the machine: whoever still holds the lock has missed the deadline. */
async function takeOver(world: World): Promise<void> {
  const { host, paths, log, clock } = world;
  await host.stopAgent?.(AbortSignal.timeout(120_000));
  const end = clock.now().monotonicMs + PATIENCE_MS;
  while (clock.now().monotonicMs < end) {
    const held = await tryLock(paths.lock);
    held?.release();
    if (held !== undefined) return;
    await clock.sleep(100, AbortSignal.timeout(PATIENCE_MS));
  }
  const holder = await lastHolder(paths.lock);
  if (holder === undefined || holder === process.pid) return;
  log.warn(`process ${holder} still holds the lock at the deadline; it is killed`);
  try {
    process.kill(holder, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** Without a readable journal there is one thing to do: back to the closure that the timer was armed with. */
async function blind(command: Rescue, world: World, signal: AbortSignal): Promise<void> {
  const { host, machine, log } = world;
  if (command.from === undefined)
    throw new Error('the journal is unreadable and --from is not given: nothing to go back to');
  log.error(`the journal is unreadable; going back to ${command.from}`);
  await host.stopAgent?.(signal);
  await machine.setProfile(command.from, signal);
  const run = { closure: command.from, skipChecks: true, limitSeconds: BLIND_LIMIT_SECONDS } as const;
  // Two runs, so that a boot entry which can't be written does not keep the system from coming back.
  for (const verb of ['boot', 'test'] as const) {
    const outcome = await machine.run(
      { ...run, verb, name: `${command.attempt}-blind-${verb}-${process.pid}` },
      signal,
    );
    log.error(`went back to ${command.from} (${verb}): ${JSON.stringify(outcome)}`);
  }
}

/** Undoes the attempt if it still is to be undone. */
export async function runRescue(command: Rescue, world: World, signal: AbortSignal): Promise<void> {
  const { ledger, machine, host, clock, log } = world;
  if (command.afterSeconds > 0) await clock.sleep(command.afterSeconds * 1000, signal);
  const readable = await ledger.refresh().then(
    () => ledger.damage === undefined,
    () => false,
  );
  if (readable && overdue(ledger.journal.attempt, command) === undefined) {
    log.info(`attempt ${command.attempt} is in no need of rescue`);
    return;
  }
  try {
    if (!readable) return await blind(command, world, signal);
    await takeOver(world);
    await ledger.hold(signal);
    const record = overdue(ledger.journal.attempt, command);
    if (record === undefined) return;
    log.warn(
      `attempt ${record.order.id} was not kept in time (step ${record.step}); going back to ${record.before?.system}`,
    );
    if (['switch', 'boot', 'undo-boot', 'undo-system'].includes(record.step))
      await host.killRun(runOf(record).name, signal);
    const ports: AttemptPorts = {
      machine,
      clock,
      hub: { confirm: async () => ({ kind: 'unreachable', message: 'the deadline has passed' }) },
      awaitGo: async (order) => order,
      awaitReboot: async () => undefined,
      note: (text) => log.warn(text),
      save: (next) => ledger.write(next, signal),
    };
    const done = await drive(rescued(record), ports, signal);
    log.warn(`attempt ${done.order.id} ended: ${done.phase}: ${done.message}`);
    await machine.finished(done);
  } finally {
    ledger.release();
    await host.startAgent?.(AbortSignal.timeout(60_000));
  }
}
