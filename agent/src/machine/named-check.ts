// Checks that the machine's own NixOS configuration defines: files below /etc/floe-agent/checks, each with a program and its limit.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Commander, CommandResult } from './command.ts';
import type { Probe, Tried } from './probe.ts';

const NAME = /^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$/;
/** Lines of what a check said that are shown. */
const SHOWN_LINES = 5;
const LONGEST_SECONDS = 3600;

type Definition = { readonly command: readonly [string, ...string[]]; readonly timeoutSeconds: number };

type Read =
  | { readonly kind: 'defined'; readonly check: Definition }
  | { readonly kind: 'fault'; readonly said: string };

/** Reads `{"command": […], "timeoutSeconds": n}`. */
async function readDefinition(folder: string, name: string): Promise<Read> {
  if (!NAME.test(name)) return { kind: 'fault', said: `"${name}" can't be the name of a check` };
  const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
  if (text === undefined) {
    const known = (await readdir(folder).catch(() => [])).sort().slice(0, 10);
    const others = known.length === 0 ? 'it defines none' : `it defines ${known.join(', ')}`;
    const remedy = `define services.floe-agent.checks.${name}`;
    return { kind: 'fault', said: `this machine's configuration has no check "${name}" (${others}): ${remedy}` };
  }
  const check = parse(text);
  if (check !== undefined) return { kind: 'defined', check };
  return { kind: 'fault', said: `${join(folder, name)} is no check: write it with services.floe-agent.checks` };
}

function parse(text: string): Definition | undefined {
  try {
    const value = JSON.parse(text) as { command?: unknown; timeoutSeconds?: unknown } | null;
    const { command, timeoutSeconds } = value ?? {};
    if (!Array.isArray(command) || !command.every((part): part is string => typeof part === 'string')) return undefined;
    const [program, ...args] = command;
    if (program === undefined || typeof timeoutSeconds !== 'number' || !(timeoutSeconds > 0)) return undefined;
    return { command: [program, ...args], timeoutSeconds: Math.min(LONGEST_SECONDS, timeoutSeconds) };
  } catch {
    return undefined;
  }
}

/** Runs the check of that name. One that is not defined fails at once; nobody else's command is ever run. */
export function namedProbe(name: string, folder: string, command: Commander): Probe {
  return async (signal) => {
    const read = await readDefinition(folder, name);
    if (read.kind === 'fault') return { passed: false, hopeless: true, said: read.said };
    const [program, ...args] = read.check.command;
    try {
      const result = await command(program, args, { signal, limitSeconds: read.check.timeoutSeconds, group: true });
      return judge(result);
    } catch (error: unknown) {
      if (!signal.aborted) throw error;
      return { passed: false, said: 'it was not done when the time of the check was up' };
    }
  };
}

function judge(result: CommandResult): Tried {
  const lines = `${result.stdout}\n${result.stderr}`.split('\n').map((line) => line.trim());
  const said = lines.filter((line) => line !== '').slice(-SHOWN_LINES);
  if (result.code === 0) return { passed: true, said: said.join(' / ') || 'it passed' };
  const end = result.failure ?? `exit code ${result.code}`;
  return { passed: false, said: said.length === 0 ? end : `${end}: ${said.join(' / ')}` };
}
