// Judges whether a new closure works: makes all health checks side by side and says what each came to.
import type { CheckResult } from '@floe/crds/health-check';
import type { Health } from '../attempt/outcome.ts';
import type { Clock, HealthQuestion } from '../attempt/ports.ts';
import { offUnits } from './broken-units.ts';
import type { Commander } from './command.ts';
import { httpProbe } from './http-probe.ts';
import { namedProbe } from './named-check.ts';
import type { Network } from './network.ts';
import { type Probe, tryCheck } from './probe.ts';
import { tcpProbe } from './tcp-probe.ts';
import { inWords, nothingNewFailed, type Units, unitsActive, type Verdict } from './unit-checks.ts';
import { troubledUnits, unitStates } from './units.ts';

/** What the checks need of the machine. */
export type Checking = {
  /** Absent where no systemd can be asked. */
  readonly units?: Units;
  readonly command: Commander;
  /** Folder of the checks that the machine's configuration defines. */
  readonly named: string;
  readonly network: Network;
  readonly clock: Clock;
};

/** The check that is always made. */
const BUILT_IN = 'units';
const LONGEST_MESSAGE = 512;
/** What passed is told briefly. */
const LONGEST_PASSED = 160;

type Check = HealthQuestion['checks'][number];

type Judged = {
  readonly name: string;
  readonly passed: boolean;
  readonly said: string;
  readonly units: readonly string[];
};

function ofUnits(name: string, verdict: Verdict, otherwise: string): Judged {
  if (verdict.kind === 'good') return { name, passed: true, said: otherwise, units: [] };
  return {
    name,
    passed: false,
    said: verdict.units.length === 0 ? 'it names no unit' : verdict.units.map(inWords).join(', '),
    units: verdict.units.map((unit) => unit.name),
  };
}

/** Without systemd what the switch itself said of the units stands. */
function byExitCode(exitCode: number | undefined): Judged {
  const passed = exitCode === undefined || exitCode === 0;
  const said = passed ? 'the switch ended well' : `Some units failed on the new closure (exit code ${exitCode})`;
  return { name: BUILT_IN, passed, said, units: [] };
}

async function builtIn(question: HealthQuestion, { units, clock }: Checking, signal: AbortSignal): Promise<Judged> {
  if (units === undefined) return byExitCode(question.exitCode);
  const verdict = await nothingNewFailed(question, units, clock, signal);
  const otherwise = 'no unit failed that had not failed before';
  if (verdict.kind !== 'good') return ofUnits(BUILT_IN, verdict, otherwise);
  return (await unexplained(question, units, signal)) ?? ofUnits(BUILT_IN, verdict, otherwise);
}

/** Exit codes by which switch-to-configuration says that something failed on the new closure. */
const DEGRADED: ReadonlySet<number | undefined> = new Set([3, 4]);

/**
 * What the switch complained of and no failed unit explains; undefined where nothing is left to be explained. Units that
 * it names are excused where they run by now, or had failed before.
 */
async function unexplained(
  { exitCode, said, blamed = [], failedBefore }: HealthQuestion,
  units: Units,
  signal: AbortSignal,
): Promise<Judged | undefined> {
  // Without its words, as in the journal of an older agent, the units alone decide.
  if (!DEGRADED.has(exitCode) || said === undefined) return undefined;
  const words = `the switch ended with exit code ${exitCode}: ${said}`;
  if (blamed.length === 0) return { name: BUILT_IN, passed: false, said: words, units: [] };
  const fresh = blamed.filter((unit) => !failedBefore.includes(unit));
  const states = fresh.length === 0 ? [] : await units.states(fresh, signal);
  const still = states.filter((unit) => unit.active !== 'active').map((unit) => unit.name);
  if (still.length > 0) return { name: BUILT_IN, passed: false, said: words, units: still };
  if (fresh.length === 0) return undefined;
  return { name: BUILT_IN, passed: true, said: `${fresh.join(', ')} failed at first and runs now`, units: [] };
}

/** The units of a machine, asked by its systemctl. */
export function systemdUnits(command: Commander): Units {
  return {
    troubled: (signal) => troubledUnits(command, signal),
    states: (names, signal) => unitStates(command, names, signal),
    off: (names, signal) => offUnits(command, names, signal),
  };
}

function probeOf(check: Check, { command, named, network }: Checking): Probe {
  if (check.http !== undefined) return httpProbe(check.http, network);
  if (check.tcp !== undefined) return tcpProbe(check.tcp, network);
  if (check.named !== undefined) return namedProbe(check.named, named, command);
  // A kind of a newer hub: what can't be checked has not passed.
  const said = 'this version of the agent does not know this kind of check: bring the machine a newer one first';
  return async () => ({ passed: false, hopeless: true, said });
}

async function make(check: Check, checking: Checking, signal: AbortSignal): Promise<Judged> {
  const { units, clock } = checking;
  const { name, systemd } = check;
  if (systemd === undefined) {
    const { passed, said } = await tryCheck(check, probeOf(check, checking), clock, signal);
    return { name, passed, said, units: [] };
  }
  if (units === undefined) {
    const said = `there is no systemd below --root that could be asked for ${systemd.units.join(', ')}`;
    return { name, passed: false, said, units: systemd.units };
  }
  return ofUnits(name, await unitsActive(check, units, clock, signal), `${systemd.units.join(', ')} active`);
}

/** Makes all checks side by side. Rejects only when the signal aborts, or the machine can't be asked at all. */
export async function checkHealth(question: HealthQuestion, checking: Checking, signal: AbortSignal): Promise<Health> {
  const stamped = async (judging: Promise<Judged>) => ({ ...(await judging), at: checking.clock.now().time });
  const judged = await Promise.all([
    stamped(builtIn(question, checking, signal)),
    ...question.checks.map((check) => stamped(make(check, checking, signal))),
  ]);
  const checks = judged.map(
    ({ name, passed, said, at }): CheckResult => ({
      name,
      passed,
      message: said.slice(0, passed ? LONGEST_PASSED : LONGEST_MESSAGE),
      at,
    }),
  );
  const bad = judged.filter(({ passed }) => !passed);
  if (bad.length === 0) return { kind: 'healthy', checks };
  const units = [...new Set(bad.flatMap((one) => one.units))].slice(0, 16);
  const sentences = bad.map(({ name, said }) => (name === BUILT_IN ? `${said}.` : `Check ${name}: ${said}.`));
  return { kind: 'unhealthy', units, message: sentences.join(' ').slice(0, 1000), checks };
}
