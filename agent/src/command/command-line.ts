// Reads the command line of floe-agent into one command, or says what is wrong with it.
import { parseArgs } from 'node:util';
import { isStorePath } from '@floe/crds/nix-fingerprint';
import type { Run } from '../attempt/ports.ts';
import type { Mode } from '../attempt/record.ts';
import { deferSeconds } from '../people/local-protocol.ts';

type Global = {
  /** Folder below which all paths but the store's lie; `/` for the machine itself. */
  readonly root: string;
  /** Configuration file, as given; absent: etc/floe-agent.json below root. */
  readonly config?: string;
};

export type Command = Global &
  /** The file lies below root, as one that the configuration names. */
  (
    | { readonly kind: 'run'; readonly joinTokenFile?: string }
    | {
        readonly kind: 'apply';
        readonly closure: string;
        readonly attempt: string;
        readonly mode: Mode;
        readonly confirm: 'none' | 'hub';
        readonly timeoutSeconds: number;
        /** The closure may come without an agent. */
        readonly withoutAgent: boolean;
        readonly json: boolean;
      }
    | {
        readonly kind: 'rescue';
        readonly attempt: string;
        readonly timer?: number;
        readonly from?: string;
        readonly afterSeconds: number;
      }
    | { readonly kind: 'switch-unit'; readonly run: Run }
    | { readonly kind: 'status'; readonly json: boolean }
    /** What a user may say, over the local socket. */
    | { readonly kind: 'approve' }
    | { readonly kind: 'defer'; readonly duration?: string }
    | { readonly kind: 'rollback' }
    | { readonly kind: 'release' }
    | { readonly kind: 'accept-orders' }
    | { readonly kind: 'version' }
    | { readonly kind: 'help' }
  );

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `floe-agent: runs on a NixOS machine and brings it to what Floe tells it.

  floe-agent [--root DIR] [--config FILE] run [--join-token-file FILE]
      Stays connected to the hub and carries out its orders.
      With a join token a machine whose key nobody knows yet asks to be let in.
  floe-agent [--root DIR] apply CLOSURE --attempt ID [--mode switch|boot|test]
             [--confirm none|hub] [--timeout SECONDS] [--without-agent] [--json]
      Activates one closure by hand, when the control plane is away. Rolls back what fails.
      The time limit (default 600) bounds the switch, and the roll-back has the same.
      A closure without floe-agent is refused, since Floe would not reach the machine any more,
      unless --without-agent says that this is meant.
      Started again with the same ID it waits for, or goes on with, that attempt.
      Exit code 0 when the closure is kept or waits for a reboot, else 1.
      What it kept is held: Floe leaves it alone until a newer order, or:
  floe-agent [--root DIR] release
      Ends that hold. The machine goes back to what Floe ordered.
  floe-agent [--root DIR] accept-orders
      Takes the next order whatever its number, where orders are refused since one had a higher number:
      after a wrong clock, or an order that was not the hub's.
  floe-agent [--root DIR] status [--json]
      Says what the machine runs, and how far the attempt in hand is.
  floe-agent approve
      Lets a new system that waits for your yes be switched to.
  floe-agent defer [30m|2h|…]
      Puts it off, by 2 hours unless you say otherwise, and never beyond the admins' limit.
  floe-agent rollback
      Back to the system before. Floe then leaves the machine alone until an admin says otherwise.
      These and status are for root and for the group that services.floe-agent.users names.
  floe-agent [--root DIR] rescue --attempt ID
      Undoes an attempt that was not kept in time. The agent's own timer calls it.
  floe-agent --version | --help

  --root DIR     every path outside /nix/store is below DIR (default /)
  --config FILE  default etc/floe-agent.json below DIR
`;

const OPTIONS = {
  root: { type: 'string' },
  config: { type: 'string' },
  'join-token-file': { type: 'string' },
  attempt: { type: 'string' },
  mode: { type: 'string' },
  confirm: { type: 'string' },
  timeout: { type: 'string' },
  'without-agent': { type: 'boolean' },
  json: { type: 'boolean' },
  timer: { type: 'string' },
  from: { type: 'string' },
  after: { type: 'string' },
  run: { type: 'string' },
  closure: { type: 'string' },
  verb: { type: 'string' },
  'skip-checks': { type: 'boolean' },
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = { readonly [K in keyof typeof OPTIONS]?: string | boolean };

const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  run: ['join-token-file'],
  apply: ['attempt', 'mode', 'confirm', 'timeout', 'without-agent', 'json'],
  rescue: ['attempt', 'timer', 'from', 'after'],
  'switch-unit': ['run', 'closure', 'verb', 'timeout', 'skip-checks'],
  status: ['json'],
  approve: [],
  defer: [],
  rollback: [],
  release: [],
  'accept-orders': [],
};

function text(values: Values, name: keyof typeof OPTIONS, remedy: string): string {
  const value = values[name];
  if (typeof value !== 'string' || value === '') throw new UsageError(`--${name} is missing: ${remedy}`);
  return value;
}

function oneOf<const T extends readonly string[]>(
  values: Values,
  name: keyof typeof OPTIONS,
  among: T,
  otherwise: T[number],
): T[number] {
  const value = values[name] ?? otherwise;
  const found = among.find((one) => one === value);
  if (found === undefined) throw new UsageError(`--${name} ${value}: use one of ${among.join(', ')}`);
  return found;
}

function number(values: Values, name: keyof typeof OPTIONS, otherwise: number): number {
  const value = values[name];
  if (value === undefined) return otherwise;
  const parsed = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(parsed >= 0 && parsed <= 86_400)) throw new UsageError(`--${name} ${value}: use seconds, from 0 to 86400`);
  return parsed;
}

function closure(value: string | undefined, remedy: string): string {
  // What a person copies may end in a slash.
  const path = value?.replace(/(?<!\/)\/+$/, '');
  if (path === undefined || !isStorePath(path)) throw new UsageError(`${value ?? 'CLOSURE'}: ${remedy}`);
  return path;
}

/** A closure or one of its specialisations. */
function system(value: string): string {
  const [, path, inside = ''] = /^(.*?)(\/specialisation\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)?$/.exec(value) ?? [];
  return `${closure(path, 'give a store path')}${inside}`;
}

function attemptId(values: Values): string {
  const id = text(values, 'attempt', 'name the attempt, --attempt repair-1 for instance');
  if (id.length > 64) throw new UsageError(`--attempt ${id}: use at most 64 characters`);
  return id;
}

function apply(global: Global, values: Values, operands: readonly string[]): Command {
  const remedy = 'give the store path of a NixOS system, /nix/store/<hash>-nixos-system-…';
  if (operands.length > 1) throw new UsageError(`${operands[1]}: one closure at a time`);
  const timeoutSeconds = number(values, 'timeout', 600);
  if (timeoutSeconds <= 0) throw new UsageError('--timeout 0: use more than 0 seconds');
  return {
    ...global,
    kind: 'apply',
    closure: closure(operands[0], remedy),
    attempt: attemptId(values),
    mode: oneOf(values, 'mode', ['switch', 'boot', 'test'], 'switch'),
    confirm: oneOf(values, 'confirm', ['none', 'hub'], 'none'),
    timeoutSeconds,
    withoutAgent: values['without-agent'] === true,
    json: values.json === true,
  };
}

function rescue(global: Global, values: Values): Command {
  return {
    ...global,
    kind: 'rescue',
    attempt: attemptId(values),
    afterSeconds: number(values, 'after', 0),
    ...(values.timer === undefined ? {} : { timer: number(values, 'timer', 0) }),
    ...(values.from === undefined ? {} : { from: closure(String(values.from), 'give the store path to go back to') }),
  };
}

function switchUnit(global: Global, values: Values): Command {
  return {
    ...global,
    kind: 'switch-unit',
    run: {
      name: text(values, 'run', 'name the run'),
      closure: system(text(values, 'closure', 'give a closure')),
      verb: oneOf(values, 'verb', ['test', 'boot'], 'test'),
      skipChecks: values['skip-checks'] === true,
      limitSeconds: number(values, 'timeout', 600),
    },
  };
}

function parsed(args: readonly string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error: unknown) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function run(global: Global, { 'join-token-file': file }: Values): Command {
  return { ...global, kind: 'run', ...(typeof file === 'string' ? { joinTokenFile: file } : {}) };
}

function defer(global: Global, operands: readonly string[]): Command {
  const [duration, more] = operands;
  if (more !== undefined) throw new UsageError(`${more}: one duration at a time`);
  if (duration === undefined) return { ...global, kind: 'defer' };
  if (deferSeconds(duration) === undefined) throw new UsageError(`${duration}: write 30m, 2h or 1h30m`);
  return { ...global, kind: 'defer', duration };
}

/** Reads the command line. Throws UsageError that says what is wrong and what to write instead. */
export function readCommandLine(args: readonly string[]): Command {
  const { values, positionals } = parsed(args);
  const global: Global = {
    root: typeof values.root === 'string' ? values.root : '/',
    ...(typeof values.config === 'string' ? { config: values.config } : {}),
  };
  if (values.version === true) return { ...global, kind: 'version' };
  const [verb, ...operands] = positionals;
  if (values.help === true || verb === undefined || verb === 'help') return { ...global, kind: 'help' };
  const allowed = ALLOWED[verb];
  if (allowed === undefined)
    throw new UsageError(
      `${verb}: use one of run, apply, release, accept-orders, status, approve, defer, rollback, rescue`,
    );
  const foreign = Object.keys(values).find((name) => !['root', 'config', ...allowed].includes(name));
  if (foreign !== undefined) throw new UsageError(`--${foreign} does not belong to ${verb}`);
  if (verb !== 'apply' && verb !== 'defer' && operands.length > 0)
    throw new UsageError(`${operands[0]}: ${verb} takes no such word`);
  switch (verb) {
    case 'run':
      return run(global, values);
    case 'apply':
      return apply(global, values, operands);
    case 'rescue':
      return rescue(global, values);
    case 'switch-unit':
      return switchUnit(global, values);
    case 'approve':
    case 'rollback':
      return { ...global, kind: verb };
    case 'defer':
      return defer(global, operands);
    case 'release':
    case 'accept-orders':
      return { ...global, kind: verb };
    default:
      return { ...global, kind: 'status', json: values.json === true };
  }
}
