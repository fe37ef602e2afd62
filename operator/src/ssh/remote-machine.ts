// A machine without an agent as an attempt uses it: each port is one of the fixed scripts, run over SSH.
import type { Done, Fetched, Health, RunOutcome, Seen } from '@floe/agent/attempt/outcome';
import type { Clock, DeadMan, HealthQuestion, Machine, Run } from '@floe/agent/attempt/ports';
import type { Order } from '@floe/agent/attempt/record';
import { switchWords } from '@floe/agent/attempt/switch-words';
import { activeUnits, startBroken } from '@floe/agent/machine/broken-units';
import { type Commander, complaintOf } from '@floe/agent/machine/command';
import { checkHealth, systemdUnits } from '@floe/agent/machine/health';
import { changedKeys, parseKeys } from '@floe/agent/machine/key-file';
import { failedUnits } from '@floe/agent/machine/units';
import { substituterFault } from '@floe/agent/store/substituters';
import type { ScriptOptions, ScriptResult } from './connection.ts';
import type { Link } from './link.ts';
import { remoteNetwork } from './remote-network.ts';
import * as scripts from './scripts.ts';
import { parseSight, type Sight } from './sight.ts';

export type RemoteParts = {
  readonly link: Link;
  readonly clock: Clock;
  /** What fences off a leader that was replaced. */
  readonly owner: string;
  /** Limit of a visit or of an attempt. */
  readonly signal: AbortSignal;
};

/** Another leader has the machine now: this one must not touch it any more. */
export class NotOwnerError extends Error {
  override readonly name = 'NotOwnerError';
}

/** The machine has booted anew: its journal is to be taken up as after any boot. */
export class RestartedError extends Error {
  override readonly name = 'RestartedError';
}

/** The machine's own timer has begun to undo the attempt: it is to be taken up on its way back. */
export class RescuedError extends Error {
  override readonly name = 'RescuedError';
}

const SHORT_SECONDS = 60;
const PROFILE_SECONDS = 300;
/** A closure may be large and a line thin. */
const FETCH_SECONDS = 6 * 3600;
/** What a run is allowed beyond its limit, before it is killed. */
const RUN_PATIENCE_SECONDS = 30;
const REBOOT_MS = 10 * 60_000;
const REBOOT_LOOK_MS = 3_000;

export class RemoteMachine implements Machine {
  /** Nobody runs it; the timer's program is a script that lies on the machine. */
  readonly program: readonly string[] = ['/bin/sh', `${scripts.STATE_FOLDER}/rescue.sh`];
  readonly #parts: RemoteParts;
  readonly #command: Commander;
  /** Closures whose specialisations count as them. */
  readonly #known = new Set<string>();
  /** Attempt in hand, and how long its way back may take. */
  #attempt = { name: '', undoSeconds: 600 };
  /** Attempt that is known to be undone by the machine's own timer. */
  #rescued: string | undefined;

  constructor(parts: RemoteParts) {
    this.#parts = parts;
    this.#command = async (program, args, { signal, limitSeconds = SHORT_SECONDS }) => {
      const { code, stdout, stderr } = await parts.link.run(scripts.COMMAND, [program, ...args], {
        signal,
        limitSeconds,
      });
      return { code, stdout, stderr };
    };
  }

  /** The attempt that the next steps belong to. */
  begin(attempt: { readonly name: string; readonly undoSeconds: number; readonly closure: string }): void {
    this.#attempt = attempt;
    this.#known.add(attempt.closure);
  }

  async look(): Promise<Sight> {
    return parseSight((await this.#run(scripts.SEE, [...this.#known])).stdout);
  }

  /** Rejects once with RescuedError where the timer of the attempt has gone off: nothing seen then is the attempt's doing. */
  async see(): Promise<Seen> {
    const { seen, rescued } = await this.look();
    if (rescued === this.#attempt.name && this.#rescued !== rescued) {
      this.#rescued = rescued;
      throw new RescuedError(RESCUED);
    }
    return seen;
  }

  failedUnits(signal: AbortSignal): Promise<readonly string[]> {
    return failedUnits(this.#command, signal);
  }

  activeUnits(signal: AbortSignal): Promise<readonly string[]> {
    return activeUnits(this.#command, signal);
  }

  startUnits(units: readonly string[], signal: AbortSignal): Promise<Done> {
    return startBroken(this.#command, units, signal);
  }

  async fetch({ closure, substituters }: Order, note: (text: string) => void, signal: AbortSignal): Promise<Fetched> {
    const fit = substituters.filter((one) => {
      const fault = substituterFault(one);
      if (fault !== undefined) note(`${one} is not used: ${fault}.`);
      return fault === undefined;
    });
    const result = await this.#run(scripts.FETCH, [closure, ...fit], { signal, limitSeconds: FETCH_SECONDS });
    if (result.code === 0) return { kind: 'fetched' };
    const why = complaint(result);
    if (result.code !== 3) return { kind: 'unavailable', message: `${closure} could not be fetched: ${why}.` };
    return {
      kind: 'refused',
      message: `${closure} is not signed as this machine asks for: ${why}. Its own nix.settings.trusted-public-keys must name the key of its namespace.`,
    };
  }

  async inhibitors(running: string, wanted: string): Promise<readonly string[]> {
    const { stdout } = await this.#run(scripts.PAIR, [running, wanted, 'switch-inhibitors']);
    const [old, next] = stdout.split('\n').map((line) => parseKeys(Buffer.from(line, 'base64').toString('utf8')));
    return old === undefined || next === undefined ? [] : changedKeys(old, next).slice(0, 16);
  }

  async specialisation(closure: string, name: string): Promise<string | undefined> {
    return textOf(await this.#run(scripts.SPECIALISATION, [closure, name]));
  }

  async complaint(closure: string): Promise<string | undefined> {
    return textOf(await this.#run(scripts.COMPLAINT, [closure]));
  }

  async keepWayBack(closure: string): Promise<void> {
    await this.#run(scripts.KEEP_WAY_BACK, [closure]);
  }

  async arm({ attempt, number, seconds, from }: DeadMan, signal: AbortSignal): Promise<Done> {
    const limit = String(Math.ceil(this.#attempt.undoSeconds));
    const args = [attempt, String(number), String(Math.ceil(seconds)), from, limit];
    return done(await this.#own(scripts.ARM, args, { signal, limitSeconds: SHORT_SECONDS }));
  }

  async disarm(attempt: string): Promise<void> {
    const result = await this.#own(scripts.DISARM, [attempt]);
    if (result.code !== 0) throw new Error(`the timers of attempt ${attempt} can't be put away: ${complaint(result)}`);
  }

  async run(run: Run, signal: AbortSignal): Promise<RunOutcome> {
    const { name, closure, verb, skipChecks, limitSeconds } = run;
    const seconds = String(Math.ceil(limitSeconds));
    const start = [this.#attempt.name, name, closure, verb, skipChecks ? 'yes' : 'no', seconds];
    const started = await this.#own(scripts.START_RUN, start, { signal, limitSeconds: SHORT_SECONDS });
    if (started.code === scripts.EXIT.rescued) return { kind: 'not-started', message: RESCUED };
    if (started.code !== 0) return { kind: 'not-started', message: complaint(started) };
    const end = performance.now() + (limitSeconds + RUN_PATIENCE_SECONDS) * 1000;
    for (;;) {
      const { stdout } = await this.#run(scripts.AWAIT_RUN, [name], { signal, limitSeconds: SHORT_SECONDS });
      const outcome = runOutcome(stdout, limitSeconds);
      if (outcome !== undefined) return outcome;
      if (performance.now() < end) continue;
      await this.#run(scripts.KILL_RUN, [name], { signal, limitSeconds: SHORT_SECONDS });
      return { kind: 'timed-out', seconds: limitSeconds };
    }
  }

  async unfinished(): Promise<boolean> {
    return textOf(await this.#run(scripts.UNFINISHED, [])) !== undefined;
  }

  async setProfile(closure: string, signal: AbortSignal): Promise<Done> {
    const options = { signal, limitSeconds: PROFILE_SECONDS };
    return done(await this.#own(scripts.SET_PROFILE, [this.#attempt.name, closure], options));
  }

  async restoreProfile(closure: string | undefined, dropped: string, signal: AbortSignal): Promise<Done> {
    const options = { signal, limitSeconds: PROFILE_SECONDS };
    return done(await this.#own(scripts.RESTORE_PROFILE, [closure ?? '', dropped], options));
  }

  checkHealth(question: HealthQuestion, signal: AbortSignal): Promise<Health> {
    const command = this.#command;
    const units = systemdUnits(command);
    // Checks by name are refused with the spec: it is the agent's module that defines them.
    const checks = question.checks.filter((check) => check.named === undefined);
    const network = remoteNetwork(this.#parts.link);
    const checking = { units, command, clock: this.#parts.clock, named: '/nonexistent', network };
    return checkHealth({ ...question, checks }, checking, signal);
  }

  /** Only to get the old closure back: nobody on the machine could undo a new one that does not come up. */
  async reboot(signal: AbortSignal): Promise<Done> {
    const { bootId } = await this.see();
    const result = await this.#own(scripts.REBOOT, [], { signal, limitSeconds: SHORT_SECONDS });
    if (result.code !== 0) return { kind: 'failed', message: complaint(result) };
    const end = performance.now() + REBOOT_MS;
    while (performance.now() < end) {
      await this.#parts.clock.sleep(REBOOT_LOOK_MS, signal);
      if ((await this.see()).bootId !== bootId) throw new RestartedError('the machine was restarted');
    }
    return { kind: 'failed', message: 'systemd was asked, but the machine still runs after 10 minutes' };
  }

  async rebootReasons(booted: string | undefined, wanted: string | undefined): Promise<readonly string[]> {
    if (booted === undefined || wanted === undefined || booted === wanted) return [];
    return lines(await this.#run(scripts.REBOOT_REASONS, [booted, wanted]));
  }

  async facts(): Promise<Readonly<Record<string, string>>> {
    const found = lines(await this.#run(scripts.FACTS, [])).map((line) => [
      line.slice(0, line.indexOf(' ')),
      line.slice(line.indexOf(' ') + 1).trim(),
    ]);
    return Object.fromEntries(found.filter(([, value]) => value !== ''));
  }

  /** Notes on the machine, over a new connection, that it was reached while it runs this; the text says why not. */
  async confirm(system: string, signal: AbortSignal): Promise<string | undefined> {
    const options = { signal, limitSeconds: SHORT_SECONDS };
    const args = [this.#parts.owner, this.#attempt.name, system];
    const result = await this.#parts.link.runAnew(scripts.CONFIRM, args, options);
    if (result.code === 0) return undefined;
    return result.code === scripts.EXIT.rescued ? RESCUED : complaint(result);
  }

  #run(script: string, args: readonly string[], options: Partial<ScriptOptions> = {}): Promise<ScriptResult> {
    return this.#parts.link.run(script, args, {
      signal: this.#parts.signal,
      limitSeconds: SHORT_SECONDS,
      ...options,
    });
  }

  /** Runs a script that changes the machine: only for as long as no other leader has it. */
  async #own(script: string, args: readonly string[], options: Partial<ScriptOptions> = {}): Promise<ScriptResult> {
    const result = await this.#run(script, [this.#parts.owner, ...args], options);
    if (result.code === scripts.EXIT.notOwner) throw new NotOwnerError('another leader has taken over this machine');
    return result;
  }
}

const RESCUED = "the machine's own timer has gone back to the old closure meanwhile";

function complaint(result: ScriptResult): string {
  return result.code === scripts.EXIT.rescued ? RESCUED : complaintOf(result);
}

function done(result: ScriptResult): Done {
  return result.code === 0 ? { kind: 'ok' } : { kind: 'failed', message: complaint(result) };
}

function lines({ stdout }: ScriptResult): string[] {
  return stdout.split('\n').filter((line) => line.trim() !== '');
}

function textOf({ stdout }: ScriptResult): string | undefined {
  const text = stdout.trim();
  return text === '' ? undefined : text;
}

/** What AWAIT_RUN said; undefined while it runs. */
export function runOutcome(text: string, limitSeconds: number): RunOutcome | undefined {
  const [first = '', ...rest] = text.split('\n');
  if (first === 'running') return undefined;
  const match = /^ended (\d+)$/.exec(first);
  if (match === null) return { kind: 'lost' };
  const code = Number(match[1]);
  const words = switchWords(rest.join('\n'));
  // timeout(1): 124 in time with SIGTERM, 137 only with SIGKILL.
  if (code === 124 || code === 137) return { kind: 'timed-out', seconds: limitSeconds };
  if (code === 126 || code === 127) return { kind: 'not-started', message: words.said ?? `exit code ${code}` };
  if (code > 128) return { kind: 'killed', signal: `signal ${code - 128}` };
  return { kind: 'exited', code, ...words };
}
