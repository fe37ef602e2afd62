// `floe-agent switch-unit`: the process that runs switch-to-configuration in a unit of its own and writes down how it ended.
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunOutcome } from '../attempt/outcome.ts';
import type { Run } from '../attempt/ports.ts';
import { type SwitchWords, SwitchWordsReader } from '../attempt/switch-words.ts';
import type { Paths } from '../paths.ts';
import { claimRun, endRun, noteSwitchProcess } from './run-files.ts';

/** Between asking a switch to stop and killing it. */
const GRACE_MS = 5_000;
const FOLLOW_MS = 200;
const CHUNK_BYTES = 64 * 1024;

/** Command line of `switch-unit` for a run, after the agent's own. */
export function switchUnitArguments(paths: Paths, run: Run): string[] {
  return [
    ...(paths.isHost ? [] : ['--root', paths.root]),
    'switch-unit',
    '--run',
    run.name,
    '--closure',
    run.closure,
    '--verb',
    run.verb,
    '--timeout',
    String(run.limitSeconds),
    ...(run.skipChecks ? ['--skip-checks'] : []),
  ];
}

/** Passes on what is appended to a file, until it is stopped; then returns what it says of the switch. */
function follow(file: FileHandle, say: (text: string) => void): { stop(): Promise<SwitchWords> } {
  const words = new SwitchWordsReader();
  let at = 0;
  let reading = Promise.resolve();
  const read = async () => {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(CHUNK_BYTES), position: at });
    at += bytesRead;
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    if (text !== '') say(text);
    words.add(text);
    if (bytesRead === CHUNK_BYTES) await read();
  };
  const timer = setInterval(() => {
    reading = reading.then(read).catch(() => undefined);
  }, FOLLOW_MS);
  return {
    async stop() {
      clearInterval(timer);
      await reading;
      await read().catch(() => undefined);
      return words.end();
    },
  };
}

function execute(paths: Paths, run: Run, output: number): Promise<RunOutcome> {
  return new Promise((resolve) => {
    const child = spawn(join(run.closure, 'bin/switch-to-configuration'), [run.verb], {
      // A file, not a pipe: it must be able to go on where this process is gone.
      stdio: ['ignore', output, output],
      // A group of its own, so that everything it started goes when the time is up.
      detached: true,
      env: {
        ...process.env,
        ...(run.skipChecks ? { NIXOS_NO_CHECK: '1' } : {}),
        ...(paths.isHost ? {} : { FLOE_ROOT: paths.root }),
      },
    });
    if (child.pid !== undefined) void noteSwitchProcess(paths.runs, run.name, child.pid).catch(() => undefined);
    let late = false;
    const kill = (signal: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // It has just ended by itself.
      }
    };
    const limit = setTimeout(() => {
      late = true;
      kill('SIGTERM');
      setTimeout(() => kill('SIGKILL'), GRACE_MS).unref();
    }, run.limitSeconds * 1000);
    child.once('error', (error) => {
      clearTimeout(limit);
      resolve({ kind: 'not-started', message: error.message });
    });
    child.once('exit', (code, signal) => {
      clearTimeout(limit);
      if (late) {
        kill('SIGKILL');
        resolve({ kind: 'timed-out', seconds: run.limitSeconds });
      } else if (code !== null) resolve({ kind: 'exited', code });
      else resolve({ kind: 'killed', signal: signal ?? 'a signal' });
    });
  });
}

/** Runs it once and leaves its end beside the journal; a run that somebody began before is left alone. */
export async function runSwitchUnit(paths: Paths, run: Run): Promise<void> {
  // The agent that asked may go away in mid-switch, with its terminal.
  for (const signal of ['SIGHUP', 'SIGINT'] as const) process.on(signal, () => undefined);
  if (!(await claimRun(paths.runs, run.name))) return;
  const output = await open(join(paths.runs, `${run.name}.output`), 'a+', 0o600);
  const following = follow(output, (text) => process.stdout.write(text));
  const outcome = await execute(paths, run, output.fd);
  const words = await following.stop();
  await output.close();
  await endRun(paths.runs, run.name, outcome.kind === 'exited' ? { ...outcome, ...words } : outcome);
}
