// `floe-agent apply`: one activation by hand, with the same journal, timer and roll-back as an order of the hub.
import { drive } from '../attempt/drive.ts';
import type { AttemptPorts } from '../attempt/ports.ts';
import { type AttemptRecord, isDone, isFor, isReplaceable, newAttempt, type Order } from '../attempt/record.ts';
import { resume } from '../attempt/resume.ts';
import { undo } from '../attempt/transition.ts';
import { findAttempt } from '../journal/journal.ts';
import { closureAfterReboot } from '../state.ts';
import type { Command } from './command-line.ts';
import type { World } from './compose.ts';
import { type ApplyResult, applyResult } from './result.ts';

type Apply = Extract<Command, { kind: 'apply' }>;

const CONFIRM_TIMEOUT_SECONDS = 120;
/** After this long a person is told what is waited for. */
const WAIT_NOTICE_MS = 1_000;

/** Who sits at the console, as sudo or the login tells. */
function byWhom(env: NodeJS.ProcessEnv): { by?: string } {
  const name = env['SUDO_USER'] ?? env['LOGNAME'] ?? env['USER'];
  return name === undefined || name === '' ? {} : { by: name.slice(0, 64) };
}

async function orderOf(command: Apply, world: World): Promise<Order> {
  // Without the hub the configuration is not needed: this is what one uses when all else is broken.
  const settings = command.confirm === 'hub' ? await world.settings() : await world.settings().catch(() => undefined);
  return {
    id: command.attempt,
    closure: command.closure,
    origin: 'local',
    ...byWhom(process.env),
    sequence: 0,
    go: true,
    mode: command.mode,
    ...(command.withoutAgent ? { withoutAgent: true as const } : {}),
    confirm: command.confirm,
    switchTimeoutSeconds: command.timeoutSeconds,
    confirmTimeoutSeconds: CONFIRM_TIMEOUT_SECONDS,
    healthChecks: [],
    substituters: settings?.substituters ?? [],
  };
}

/** Brings an attempt that its process left behind to an end, so that another may begin. */
async function settle(last: AttemptRecord, order: Order, ports: AttemptPorts, signal: AbortSignal): Promise<void> {
  const why = `floe-agent apply (attempt ${order.id}) took its place.`;
  if (isReplaceable(last)) {
    const message = `${why} Nothing was changed.`;
    await ports.save({ ...last, step: 'done', phase: 'Cancelled', message, finishedAt: ports.clock.now().time });
    return;
  }
  const taken = resume(last, await ports.machine.see());
  await drive(taken.ending === undefined && !isDone(taken) ? undo(taken, 'Cancelled', why) : taken, ports, signal);
}

async function attempt(order: Order, world: World, signal: AbortSignal): Promise<AttemptRecord> {
  const { ledger, machine, hub, clock, log } = world;
  const ports: AttemptPorts = {
    machine,
    hub,
    clock,
    awaitGo: async (given) => given,
    // What the hub's order waits for is given up for what is done by hand.
    awaitReboot: async () => undefined,
    note: (text) => log.warn(text),
    save: async (record) => {
      await ledger.write(record, signal);
      log.info(`attempt ${record.order.id}: ${record.phase} (${record.step})`);
    },
  };
  const before = findAttempt(ledger.journal, order);
  if (before !== undefined && isDone(before)) return before;
  const last = ledger.journal.attempt;
  if (last !== undefined && isFor(last, order)) return drive(resume(last, await machine.see()), ports, signal);
  if (last !== undefined && !isDone(last)) await settle(last, order, ports, signal);
  return drive(newAttempt(order, clock.now().time), ports, signal);
}

/** Carries out one activation and says what came of it. Rejects when the signal aborts: the timer then undoes it. */
export async function runApply(command: Apply, world: World, signal: AbortSignal): Promise<ApplyResult> {
  const { ledger, machine, host, log } = world;
  const order = await orderOf(command, world);
  const notice = setTimeout(() => log.info('another attempt is in hand; waiting for its end'), WAIT_NOTICE_MS);
  try {
    await ledger.hold(signal);
    clearTimeout(notice);
    if (ledger.damage !== undefined) log.error(`the journal was damaged: ${ledger.damage}`);
    const record = await attempt(order, world, signal);
    const seen = await machine.see();
    const reasons = await machine.rebootReasons(seen.booted, closureAfterReboot(ledger.journal, seen));
    ledger.release();
    await machine.finished(record);
    if (record.systemTouched) await host.refreshAgent?.(signal);
    return applyResult(record, seen, reasons);
  } finally {
    clearTimeout(notice);
    ledger.release();
  }
}
