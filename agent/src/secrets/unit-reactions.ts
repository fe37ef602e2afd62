// What follows a changed secret on the machine: units that name it are restarted or reloaded, and their target is started.
import type { Commander } from '../machine/command.ts';
import { complaintOf } from '../machine/command.ts';

/** Units that a secret's new content concerns, as the machine's own configuration says. */
export type Reaction = { readonly restartUnits: readonly string[]; readonly reloadUnits: readonly string[] };

export interface UnitReactions {
  /** Restarts or reloads those of the units that run. */
  react(units: Reaction): Promise<void>;
  /** All secrets are there. */
  complete(): Promise<void>;
}

const TARGET = 'floe-secrets.target';

/** On a machine with systemd. Nothing is waited for; what fails is told to `warn`. */
export function systemdReactions(command: Commander, warn: (text: string) => void): UnitReactions {
  const systemctl = async (args: readonly string[], unlessMissing = false) => {
    const result = await command('systemctl', ['--no-block', '--no-ask-password', ...args], {
      signal: AbortSignal.timeout(60_000),
    });
    const missing = unlessMissing && /not found|not loaded/i.test(result.stderr);
    if (result.code !== 0 && !missing) warn(`systemctl ${args.join(' ')}: ${complaintOf(result)}`);
  };
  return {
    async react({ restartUnits, reloadUnits }) {
      // A unit that is restarted need not be reloaded.
      const reload = reloadUnits.filter((unit) => !restartUnits.includes(unit));
      if (restartUnits.length > 0) await systemctl(['try-restart', '--', ...restartUnits]);
      if (reload.length > 0) await systemctl(['try-reload-or-restart', '--', ...reload]);
    },
    // A machine whose configuration needs no secret at boot has no such target.
    complete: () => systemctl(['start', '--', TARGET], true),
  };
}

/** Where there is no systemd to ask. */
export const noReactions: UnitReactions = { react: async () => undefined, complete: async () => undefined };

export function isNothing({ restartUnits, reloadUnits }: Reaction): boolean {
  return restartUnits.length + reloadUnits.length === 0;
}

/** The units of both. */
export function merged(one: Reaction | undefined, other: Reaction): Reaction {
  return {
    restartUnits: [...new Set([...(one?.restartUnits ?? []), ...other.restartUnits])],
    reloadUnits: [...new Set([...(one?.reloadUnits ?? []), ...other.reloadUnits])],
  };
}

/** What was noted; what can't be read is nothing. */
export function parseReaction(text: string | undefined): Reaction | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Reaction);
  } catch {
    return undefined;
  }
}
