// Parses what comes from outside: each function returns the typed value, or the field that is wrong and how.
import type { BuildError, BuildProgress, BuildRequest, BuildResult } from './build.ts';
import { analysisProblem } from './check-analysis.ts';
import { checkFreezes, checkTimeZone, checkWindows } from './check-times.ts';
import * as generated from './generated/validators.js';
import type { HealthCheck } from './health-check.ts';
import type { NixConfig } from './nix-config.ts';
import type { NixMachine } from './nix-machine.ts';
import { byType, type Parsed, type Parser, parser } from './parsed.ts';
import { plainValue } from './plain-text.ts';
import type { PollRequest } from './poll.ts';
import type { AgentMessage } from './protocol.ts';
import type { RevisionRecord } from './revision-record.ts';
import type { Rollout, RolloutSpec, Step } from './rollout.ts';
import { isUnitName } from './unit-name.ts';

const refuse = (field: string, message: string): { ok: false; field: string; message: string } => ({
  ok: false,
  field,
  message,
});

/** What machines and builds say goes into statuses, Events and terminals. */
const plainParsed = <T>(value: T): Parsed<T> => ({ ok: true, value: plainValue(value) });

const given = (value: object, fields: readonly string[]): string[] =>
  fields.filter((field) => (value as Record<string, unknown>)[field] !== undefined);

/** The rules that a schema can't say; the same as the CEL rules, for API servers that ignore those. */
function checkConfig(config: NixConfig): Parsed<NixConfig> {
  const { source } = config.spec;
  if (given(source, ['flake', 'git', 'inline']).length !== 1) {
    return refuse('spec.source', 'set exactly one of flake, git, inline');
  }
  if (source.git?.ref !== undefined && given(source.git.ref, ['branch', 'tag', 'commit']).length !== 1) {
    return refuse('spec.source.git.ref', 'set exactly one of branch, tag, commit');
  }
  if (source.inline !== undefined && source.inline.files['flake.nix'] === undefined) {
    return refuse('spec.source.inline.files', 'add a file flake.nix');
  }
  return { ok: true, value: config };
}

function isRegularExpression(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

function checkProblem(check: HealthCheck, field: string): { field: string; message: string } | undefined {
  if (given(check, ['systemd', 'http', 'tcp', 'named']).length !== 1) {
    return { field, message: 'set exactly one of systemd, http, tcp, named' };
  }
  const units = check.systemd?.units ?? [];
  const nameless = units.findIndex((unit) => !isUnitName(unit));
  if (nameless >= 0) {
    const why = 'is not the name of a unit; a check takes no patterns, name each unit that must be active';
    return { field: `${field}.systemd.units[${nameless}]`, message: `${units[nameless]} ${why}` };
  }
  const pattern = check.http?.body?.matches;
  if (pattern === undefined || isRegularExpression(pattern)) return undefined;
  return { field: `${field}.http.body.matches`, message: `${pattern} is no regular expression` };
}

function checkMachine(machine: NixMachine): Parsed<NixMachine> {
  const { generations } = machine.spec.activation ?? {};
  if (generations !== undefined && given(generations, ['keep', 'maxAge']).length === 0) {
    return refuse('spec.activation.generations', 'set keep, maxAge or both');
  }
  const zone = checkTimeZone('spec.timeZone', machine.spec.timeZone);
  if (zone !== undefined) return refuse(zone.field, zone.message);
  for (const [index, check] of (machine.spec.activation?.healthChecks ?? []).entries()) {
    const problem = checkProblem(check, `spec.activation.healthChecks[${index}]`);
    if (problem !== undefined) return refuse(problem.field, problem.message);
  }
  const names = (machine.spec.secrets ?? []).map(({ name }) => name);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0) {
    return refuse(`spec.secrets[${twice}].name`, `${names[twice]} is there twice; give each file a name of its own`);
  }
  return { ok: true, value: machine };
}

function checkQuantity(
  field: string,
  value: number | string | undefined,
): { field: string; message: string } | undefined {
  if (value === undefined) return undefined;
  const shown = JSON.stringify(value);
  if (typeof value === 'number' ? value > 0 : /^([1-9][0-9]?|100)%$/.test(value)) return undefined;
  if (value === 0 || value === '0%' || value === '0') {
    return { field, message: `${shown} selects nobody; use a count or a share above 0 %` };
  }
  return { field, message: `${shown} is neither a count above 0 nor a share from "1%" to "100%"` };
}

function checkStep(step: Step, field: string): { field: string; message: string } | undefined {
  if (given(step, ['batch', 'pause', 'analysis']).length !== 1) {
    return { field, message: 'set exactly one of batch, pause, analysis' };
  }
  if (step.analysis !== undefined) return analysisProblem(step.analysis, `${field}.analysis`, { background: false });
  if (step.batch === undefined) return undefined;
  if (step.batch.size === undefined && step.batch.selector === undefined) {
    return { field: `${field}.batch`, message: 'set size, selector or both' };
  }
  return checkQuantity(`${field}.batch.size`, step.batch.size);
}

function checkBudgets(budgets: RolloutSpec['budgets']): { field: string; message: string } | undefined {
  for (const [index, budget] of (budgets ?? []).entries()) {
    const field = `spec.budgets[${index}]`;
    if (given(budget, ['maxUnavailable', 'minAvailable']).length !== 1) {
      return { field, message: 'set exactly one of maxUnavailable, minAvailable' };
    }
    const size =
      checkQuantity(`${field}.maxUnavailable`, budget.maxUnavailable) ??
      checkQuantity(`${field}.minAvailable`, budget.minAvailable);
    if (size !== undefined) return size;
  }
  return undefined;
}

function checkRollout(rollout: Rollout): Parsed<Rollout> {
  const times = checkWindows(rollout.spec.windows) ?? checkFreezes(rollout.spec.freezes);
  if (times !== undefined) return refuse(times.field, times.message);
  const wrong = checkQuantity('spec.maxUnavailable', rollout.spec.maxUnavailable);
  if (wrong !== undefined) return refuse(wrong.field, wrong.message);
  const rebooting = checkQuantity('spec.maxRebooting', rollout.spec.maxRebooting);
  if (rebooting !== undefined) return refuse(rebooting.field, rebooting.message);
  const budgets = checkBudgets(rollout.spec.budgets);
  if (budgets !== undefined) return refuse(budgets.field, budgets.message);
  for (const [index, { name }] of (rollout.spec.dependsOn ?? []).entries()) {
    if (name === rollout.metadata.name) {
      return refuse(`spec.dependsOn[${index}].name`, 'a Rollout can not wait for itself; name another one');
    }
  }
  for (const [index, step] of (rollout.spec.steps ?? []).entries()) {
    const unclear = checkStep(step, `spec.steps[${index}]`);
    if (unclear !== undefined) return refuse(unclear.field, unclear.message);
  }
  const { analysis } = rollout.spec;
  const unclear = analysis && analysisProblem(analysis, 'spec.analysis', { background: true });
  return unclear === undefined ? { ok: true, value: rollout } : refuse(unclear.field, unclear.message);
}

export const parseNixConfig: Parser<NixConfig> = parser(generated.validateNixConfig, checkConfig);
export const parseNixMachine: Parser<NixMachine> = parser(generated.validateNixMachine, checkMachine);
export const parseRollout: Parser<Rollout> = parser(generated.validateRollout, checkRollout);
export const parseRevisionRecord: Parser<RevisionRecord> = parser(generated.validateRevisionRecord);
export const parseBuildRequest: Parser<BuildRequest> = parser(generated.validateBuildRequest);
export const parseBuildProgress: Parser<BuildProgress> = parser(generated.validateBuildProgress, plainParsed);
export const parseBuildResult: Parser<BuildResult> = parser(generated.validateBuildResult, plainParsed);
export const parseBuildError: Parser<BuildError> = parser(generated.validateBuildError, plainParsed);

export const parsePollRequest: Parser<PollRequest> = parser(generated.validatePollRequest);

/** A message of an agent: its known fields alone, without what a terminal would obey. */
export const parseAgentMessage: Parser<AgentMessage> = byType(
  {
    hello: generated.validateHello,
    report: generated.validateReport,
    confirm: generated.validateConfirm,
    wantSecrets: generated.validateWantSecrets,
  },
  plainParsed,
);
