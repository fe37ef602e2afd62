// Tells what happens while it happens: one line per change of a machine or of the build, in plain words.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import { condition, type Fleet } from './observe.ts';
import { dim, green, red } from './terminal.ts';

/** Says a line; `undefined` where there is nothing new. */
type Say = (line: string) => void;

const WORDS: Readonly<Record<string, string>> = {
  Fetching: 'fetches the closure',
  Fetched: 'has the closure',
  Testing: 'switches',
  Confirming: 'is healthy, asks Floe over a new connection',
  Committing: 'confirmed, writes the boot entry',
  RollingBack: 'rolls back',
};

function machineLine(machine: NixMachine): string | undefined {
  const { attempt, desired } = machine.status ?? {};
  const name = machine.metadata.name;
  const revision = (attempt?.revision ?? desired?.revision ?? '').slice(0, 7);
  switch (attempt?.phase) {
    case undefined:
      return undefined;
    case 'Committed':
      return `${green('✔')} ${name} runs ${revision}`;
    case 'RolledBack':
    case 'Unconfirmed':
    case 'Failed':
      return `${red('✘')} ${name} ${condition(machine, 'Ready')?.message ?? ''}`;
    default: {
      const waits = attempt?.phase === 'Fetched' && desired?.go !== true ? ', waits for its go' : '';
      return `${dim('◌')} ${name} ${WORDS[attempt?.phase ?? ''] ?? attempt?.phase ?? ''}${waits}`;
    }
  }
}

function buildLine(config: NixConfig): string | undefined {
  const { build, machines } = config.status ?? {};
  switch (build?.phase) {
    case undefined:
      return undefined;
    case 'Built':
      return `${green('✔')} built ${(build.revision ?? '').slice(0, 7)} from ${build.source ?? ''} for ${machines?.built ?? 0} machines, in Job ${build.job ?? ''}`;
    case 'Failed':
      return `${red('✘')} the build failed`;
    default:
      return `${dim('◌')} build: ${build?.phase.toLowerCase() ?? ''}${build?.total ? ` ${build.built ?? build.evaluated ?? 0} of ${build.total}` : ''}`;
  }
}

/** A function that takes each look at the fleet and says what changed since the last. */
export function narrator(say: Say): (fleet: Fleet) => void {
  const said = new Map<string, string>();
  const tell = (key: string, line: string | undefined): void => {
    if (line === undefined || said.get(key) === line) return;
    said.set(key, line);
    say(line);
  };
  return (fleet) => {
    for (const config of fleet.configs) tell(`config/${config.metadata.name}`, buildLine(config));
    for (const machine of fleet.machines) tell(`machine/${machine.metadata.name}`, machineLine(machine));
    for (const rollout of fleet.rollouts) {
      const message = condition(rollout, 'Ready')?.message;
      tell(`rollout/${rollout.metadata.name}`, message === undefined ? undefined : dim(`· rollout: ${message}`));
    }
  };
}
