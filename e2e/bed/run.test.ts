// Commands: what they print, how they fail, and that none outlives its limit.
import { describe, expect, test } from 'vitest';
import { CommandError, run, tryRun } from './run.ts';

describe('run', () => {
  test('returns what was printed, and hands over input', async () => {
    expect(await run(['cat'], { input: 'a\nb\n' })).toBe('a\nb\n');
  });

  test('says line by line', async () => {
    const lines: string[] = [];
    await run(['sh', '-c', 'printf "one\\ntwo"; printf "three\\n" >&2'], { onLine: (line) => lines.push(line) });
    expect(lines.sort()).toEqual(['one', 'three', 'two']);
  });

  test('an exit code is an error that quotes the command', async () => {
    const failed = run(['sh', '-c', 'echo no space left >&2; exit 3']);
    await expect(failed).rejects.toThrow(CommandError);
    await expect(failed).rejects.toThrow(/exit code 3\nno space left/);
    expect((await tryRun(['sh', '-c', 'exit 3'])).code).toBe(3);
  });

  test('a program that is not there is an error', async () => {
    await expect(run(['/no/such/program'])).rejects.toThrow(/ENOENT/);
  });

  test('what takes too long is ended', async () => {
    await expect(run(['sleep', '30'], { timeoutSeconds: 0.1 })).rejects.toThrow(/not done after 0\.1 s/);
  });

  test('an abort ends it', async () => {
    await expect(run(['sleep', '30'], { signal: AbortSignal.timeout(50) })).rejects.toThrow(/abort|timeout/i);
  });

  test('a command that does not read its input is no error', async () => {
    expect((await tryRun(['true'], { input: 'x'.repeat(1_000_000) })).code).toBe(0);
  });
});
