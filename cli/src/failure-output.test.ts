// Errors as people and as programs see them.
import { expect, test } from 'vitest';
import { failureOutput } from './failure-output.ts';
import { InputError } from './input-error.ts';

const error = new InputError({
  error: 'there is no Rollout web in namespace default',
  field: 'NAME',
  remedy: 'see kubectl',
});
const JSON_LINE = '{"error":"there is no Rollout web in namespace default","field":"NAME","remedy":"see kubectl"}\n';
const SENTENCE = 'floe: NAME: there is no Rollout web in namespace default; see kubectl\n';
const [terminal, pipe] = [true, false];

test.each<[string, string, boolean, boolean, string, string]>([
  ['a person reads a sentence', 'approve web', terminal, terminal, '', SENTENCE],
  ['a person who pipes the output on, too', 'get rollout web', pipe, terminal, '', SENTENCE],
  ['a program reads JSON', 'approve web', pipe, pipe, '', JSON_LINE],
  ['one that reads a plan finds it there', 'plan -f -', pipe, terminal, JSON_LINE, SENTENCE],
  ['both streams of a plan', 'plan -f -', pipe, pipe, JSON_LINE, JSON_LINE],
  ['a plan on a terminal', 'plan -f -', terminal, terminal, '', SENTENCE],
  ['JSON where it is asked for', 'diff web --json', terminal, terminal, '', JSON_LINE],
  ['asked for in the short form', 'diff web -o json', pipe, terminal, JSON_LINE, JSON_LINE],
  ['asked for in one word', 'plan -f - --output=json', pipe, pipe, JSON_LINE, JSON_LINE],
])('%s', (_, argv, stdout, stderr, out, err) => {
  expect(failureOutput(error, argv.split(' '), { stdout, stderr })).toEqual({ stdout: out, stderr: err, code: 2 });
});

test('what failed elsewhere is its own sentence, exit code 1', () => {
  const output = failureOutput(new Error('connection refused'), ['approve', 'web'], { stdout: false, stderr: false });
  expect(output).toEqual({ stdout: '', stderr: 'floe: connection refused\n', code: 1 });
});
