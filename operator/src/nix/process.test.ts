import { expect, test } from 'vitest';
import { type Command, ProgramError, runProgram } from './process.ts';

const { signal } = new AbortController();
const shell = (script: string, more: Partial<Command> = {}): Command => ({
  program: '/bin/sh',
  args: ['-c', script],
  env: { PATH: '/usr/bin:/bin' },
  timeoutSeconds: 30,
  ...more,
});

test('an exit code is a result; lines come as they are written', async () => {
  const lines: string[] = [];
  const ended = await runProgram(
    shell('read x; echo "out $x"; echo one >&2; echo two >&2; exit 3', {
      input: 'in\n',
      onErrorLine: (line) => lines.push(line),
    }),
    { signal },
  );
  expect(ended).toMatchObject({ code: 3, stdout: 'out in\n', stderr: 'one\ntwo\n', timedOut: false });
  expect(lines).toEqual(['one', 'two']);
});

test('nothing of our environment is handed down', async () => {
  process.env['FLOE_TEST_SECRET'] = 'x';
  expect((await runProgram(shell('echo "[$FLOE_TEST_SECRET]"'), { signal })).stdout).toBe('[]\n');
});

test('the time limit ends it and what it started', async () => {
  const ended = await runProgram(shell('sleep 60 & sleep 60', { timeoutSeconds: 0.2 }), { signal });
  expect(ended).toMatchObject({ timedOut: true, endedBy: 'SIGTERM' });
});

test('a signal ends it with its reason', async () => {
  const stop = new AbortController();
  const ended = runProgram(shell('sleep 60'), { signal: stop.signal });
  stop.abort(new Error('told to stop'));
  await expect(ended).rejects.toThrow('told to stop');
});

test('a program that is not there', async () => {
  await expect(runProgram(shell('', { program: '/nope' }), { signal })).rejects.toThrow(ProgramError);
});

test('of a long error only the end is kept', async () => {
  const ended = await runProgram(shell('yes 0123456789 | head -c 3000000 >&2; echo end >&2'), { signal });
  expect(ended.stderr.length).toBeLessThanOrEqual(256 << 10);
  expect(ended.stderr).toMatch(/end\n$/);
});

test('a line that never ends takes no memory', async () => {
  const lines: string[] = [];
  const script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2";
  const ended = await runProgram(shell(script, { onErrorLine: (line) => lines.push(line) }), { signal });
  expect(lines.map((line) => line.length)).toEqual([256 << 10, 3]);
  expect(ended.stderr).toMatch(/end\n$/);
});

test('a program gets no more memory than it may take, and what it took is known', async () => {
  const hold = 'exec dd if=/dev/zero of=/dev/null bs=60M count=60';
  const free = await runProgram(shell(hold), { signal });
  expect(free.code).toBe(0);
  expect(free.peakBytes).toBeGreaterThan(50_000_000);
  const bounded = await runProgram(shell(hold, { memoryBytes: 20 << 20 }), { signal });
  expect(bounded.code).not.toBe(0);
});

test('a program with a limit of memory that is not there', async () => {
  const command = shell('', { program: '/nope', memoryBytes: 20 << 20 });
  await expect(runProgram(command, { signal })).rejects.toThrow("/nope can't be started");
});

test('one that writes more than is read is ended', async () => {
  await expect(runProgram(shell('yes', { maxOutputBytes: 1 << 20 }), { signal })).rejects.toThrow('more than 1 MiB');
});
