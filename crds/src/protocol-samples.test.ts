// The samples that the page of the protocol gives are messages that both ends take.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAgentMessage } from './parse.ts';
import { parseHubMessage } from './parse-hub.ts';
import { signedText } from './protocol-limits.ts';

const file = join(import.meta.dirname, '../../docs/spec/agent-protocol-samples.json');
const samples = JSON.parse(await readFile(file, 'utf8'));

test.each<[string, unknown]>(samples.fromAgent.map((one: { type: string }) => [one.type, one]))(
  'the hub takes the sample %s as it is',
  (_, message) => {
    expect(parseAgentMessage(structuredClone(message))).toEqual({ ok: true, value: message });
  },
);

test.each<[string, unknown]>(samples.fromHub.map((one: { type: string }) => [one.type, one]))(
  'the agent takes the sample %s as it is',
  (_, message) => {
    expect(parseHubMessage(structuredClone(message))).toEqual({ ok: true, value: message });
  },
);

test('the text of the vector is the one that is signed', () => {
  expect(signedText(samples.signature)).toBe(samples.signature.text);
});
