// `floe-agent status`: what the machine runs and how far the attempt in hand is, for the person at its console.
import type { MachineState } from '@floe/crds/protocol';
import { closureAfterReboot, machineState } from '../state.ts';
import type { World } from './compose.ts';

/** Reads the state as it would be reported. */
export async function readStatus({ ledger, machine, truth }: World, signal: AbortSignal): Promise<MachineState> {
  const journal = await ledger.refresh();
  const seen = await machine.see();
  const [failedUnits, rebootReasons, undoes, told, facts] = await Promise.all([
    machine.failedUnits(signal),
    machine.rebootReasons(seen.booted, closureAfterReboot(journal, seen)),
    machine.undoes(seen),
    // As the agent sees it: looking here must not change what it knows.
    truth.look(journal, seen, true),
    machine.facts(seen.current),
  ]);
  // At the console the last attempt counts, whoever asked for it.
  return machineState(journal, { seen, failedUnits, rebootReasons, undoes, told, facts }, journal.attempt?.order);
}

/** What somebody else than Floe did. */
function describeTruth({ held, drift, reboot }: MachineState): string[] {
  const by = held?.by === undefined ? '' : ` by ${held.by}`;
  return [
    ...(reboot.undoes === true ? ['            it would undo what runs'] : []),
    ...(held === undefined
      ? []
      : [`held        since ${held.since}: activated by hand${by}; floe-agent release ends this`]),
    ...(drift === undefined
      ? []
      : [`drift       ${drift.cause} since ${drift.since} (${drift.state}): ${drift.found ?? 'unknown'}`]),
  ];
}

/** The state for people. */
export function describeStatus(state: MachineState): string {
  const { attempt, reboot } = state;
  const lines = [
    `runs        ${state.current?.closure ?? 'unknown'}`,
    `booted      ${state.booted?.closure ?? 'unknown'}`,
    `next boot   ${state.bootDefault?.closure ?? 'unknown'}${state.bootDefault?.verified === false ? ' (by the profile)' : ''}`,
    ...(attempt === undefined
      ? ['attempt     none yet']
      : [`attempt     ${attempt.desiredId}: ${attempt.phase} since ${attempt.finishedAt ?? attempt.startedAt}`]),
    ...(attempt?.message === undefined ? [] : [`            ${attempt.message}`]),
    ...(reboot.required ? [`reboot      required: ${reboot.reasons.join(', ') || 'a closure waits for it'}`] : []),
    ...describeTruth(state),
    ...(state.failedUnits.length === 0 ? [] : [`failed      ${state.failedUnits.join(', ')}`]),
  ];
  return `${lines.join('\n')}\n`;
}
