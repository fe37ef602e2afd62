// The page of the agent protocol names every message, field, reason and word of the schemas: a client can be written from it alone.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { expect, test } from 'vitest';
import { ATTEMPT_PHASES } from './attempt-phase.ts';
import { PollAnswer, PollRequest } from './poll.ts';
import * as protocol from './protocol.ts';
import { SecretMessage, SecretsMessage, WantSecrets } from './secrets.ts';

const page = await readFile(join(import.meta.dirname, '../../docs/spec/agent-protocol.md'), 'utf8');
/** Words that stand in code, alone or in a shape such as `{type, nonce, versions}`. */
const words = new Set([...page.matchAll(/`[^`]+`|^ {4}.*$/gm)].flatMap(([code]) => code.match(/[A-Za-z0-9_]+/g) ?? []));

type Loose = { properties?: Record<string, Loose>; items?: Loose; anyOf?: Loose[]; enum?: unknown[] };

/** Names of fields, and words that a field may be, at any depth. */
function namesIn(schema: Loose, depth = 0): string[] {
  if (depth > 8) return [];
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, part]) => [name, ...namesIn(part, depth + 1)]);
  const parts = [...(schema.anyOf ?? []), ...(schema.items === undefined ? [] : [schema.items])];
  const values = (schema.enum ?? []).filter((value): value is string => typeof value === 'string');
  return [...fields, ...values, ...parts.flatMap((part) => namesIn(part, depth + 1))];
}

const schemas: Record<string, TSchema> = {
  Challenge: protocol.Challenge,
  Hello: protocol.Hello,
  Welcome: protocol.Welcome,
  Refused: protocol.Refused,
  DesiredMessage: protocol.DesiredMessage,
  MachineState: protocol.MachineState,
  Report: protocol.Report,
  Ack: protocol.Ack,
  Confirm: protocol.Confirm,
  Confirmed: protocol.Confirmed,
  Denied: protocol.Denied,
  SecretsMessage,
  SecretMessage,
  WantSecrets,
  PollRequest,
  PollAnswer,
};

test.each(Object.entries(schemas))('%s is described in docs/spec/agent-protocol.md', (_name, schema) => {
  expect(namesIn(schema as Loose).filter((name) => !words.has(name))).toEqual([]);
});

test('every phase is described', () => {
  expect(ATTEMPT_PHASES.filter((phase) => !words.has(phase))).toEqual([]);
});
