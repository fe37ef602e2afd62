// floe-agent: reads the command line, composes the world, and sets the exit code.
import { Agent } from './agent.ts';
import { runAcceptOrders } from './command/accept-orders.ts';
import { runApply } from './command/apply.ts';
import { isForAgent, isUserStatus, runAsk } from './command/ask.ts';
import { type Command, readCommandLine, USAGE, UsageError } from './command/command-line.ts';
import { compose } from './command/compose.ts';
import { answered, openSocket, people, secretKeeper } from './command/local-parts.ts';
import { describeRelease, runRelease } from './command/release.ts';
import { runRescue } from './command/rescue.ts';
import { describeResult } from './command/result.ts';
import { describeStatus, readStatus } from './command/status.ts';
import { runSwitchUnit } from './machine/switch-unit.ts';
import { describeWait } from './people/consent.ts';
import { AGENT_VERSION } from './version.ts';

/** Aborts when systemd or a person asks the process to end. */
function untilAskedToEnd(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => controller.abort(new Error(`ended by ${name}`)));
  }
  return controller.signal;
}

async function execute(command: Command): Promise<number> {
  if (command.kind === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (command.kind === 'version') {
    process.stdout.write(`${AGENT_VERSION}\n`);
    return 0;
  }
  if (isForAgent(command)) return runAsk(command);
  const asked: Command = command;
  if (isUserStatus(asked)) return runAsk(asked);
  const world = await compose(command);
  if (command.kind === 'switch-unit') {
    await runSwitchUnit(world.paths, command.run);
    return 0;
  }
  const signal = untilAskedToEnd();
  switch (command.kind) {
    case 'run': {
      // Said once, at the start; later a configuration that can't be read is tried again.
      await world.caller();
      const { machine, hub, caller, ledger, clock, log, truth } = world;
      const secrets = secretKeeper(world);
      const local = people(world, await compose(command), signal);
      await openSocket(world, local, signal);
      await new Agent({ machine, hub, caller, ledger, clock, log, truth, secrets, people: local }).run(signal);
      return 0;
    }
    case 'apply': {
      const result = await runApply(command, world, signal);
      process.stdout.write(`${command.json ? JSON.stringify(result) : describeResult(result)}\n`);
      return result.phase === 'Committed' || result.phase === 'RebootRequired' ? 0 : 1;
    }
    case 'release':
      process.stdout.write(describeRelease(await runRelease(world)));
      return 0;
    case 'accept-orders':
      process.stdout.write(await runAcceptOrders(world, signal));
      return 0;
    case 'rescue':
      await runRescue(command, world, signal);
      return 0;
    case 'status': {
      const state = await readStatus(world, signal);
      const said = await answered(world);
      process.stdout.write(
        command.json ? `${JSON.stringify(state)}\n` : `${describeStatus(state)}${describeWait(state.attempt, said)}`,
      );
      return 0;
    }
  }
}

try {
  process.exitCode = await execute(readCommandLine(process.argv.slice(2)));
} catch (error: unknown) {
  process.stderr.write(`floe-agent: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
