// Writes everything that is made from the schemas; with `--check` only says what is out of date.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type TSchema, Type } from 'typebox';
import { stringify } from 'yaml';
import { BuildError, BuildProgress, BuildRequest, BuildResult } from '../src/build.ts';
import { GROUP } from '../src/constants.ts';
import { nixConfigKind } from '../src/nix-config.ts';
import { nixMachineKind } from '../src/nix-machine.ts';
import * as poll from '../src/poll.ts';
import * as protocol from '../src/protocol.ts';
import { RevisionRecord } from '../src/revision-record.ts';
import { rolloutKind } from '../src/rollout.ts';
import type { KindSchema } from '../src/schema.ts';
import * as secrets from '../src/secrets.ts';
import { definition } from './definition.ts';
import { protocolFields } from './protocol-fields.ts';
import { protocolSamples } from './protocol-samples.ts';
import { reference } from './reference.ts';
import { withoutCel } from './structural.ts';
import { declarations, validators } from './validators.ts';

const root = join(import.meta.dirname, '../..');
const kinds = [nixConfigKind, nixMachineKind, rolloutKind];

const object = (kind: KindSchema): TSchema => Type.Object({ spec: kind.spec, status: Type.Optional(kind.status) });

/** Of these only the known fields travel on: what else an agent says is its own business. */
const fromAgent: Record<string, TSchema> = {
  Hello: protocol.Hello,
  Report: protocol.Report,
  Confirm: protocol.Confirm,
  WantSecrets: secrets.WantSecrets,
};

const untrusted: Record<string, TSchema> = {
  NixConfig: object(nixConfigKind),
  NixMachine: object(nixMachineKind),
  Rollout: object(rolloutKind),
  RevisionRecord,
  BuildRequest,
  BuildProgress,
  BuildResult,
  BuildError,
  PollRequest: poll.PollRequest,
  ...fromAgent,
};

/** What agents take from a hub; a module of its own, since they hold nothing else in memory. */
const fromHub: Record<string, TSchema> = {
  Challenge: protocol.Challenge,
  Welcome: protocol.Welcome,
  Refused: protocol.Refused,
  DesiredMessage: protocol.DesiredMessage,
  Ack: protocol.Ack,
  Confirmed: protocol.Confirmed,
  Denied: protocol.Denied,
  PollAnswer: poll.PollAnswer,
  SecretsMessage: secrets.SecretsMessage,
  SecretMessage: secrets.SecretMessage,
};

async function outputs(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const note = '# Made by `npm run generate` from crds/src.\n';
  for (const kind of kinds) {
    const name = `${GROUP}_${kind.plural}.yaml`;
    const withCel = note + stringify(definition(kind), { lineWidth: 0, aliasDuplicateObjects: false });
    const plain = note + stringify(withoutCel(definition(kind)), { lineWidth: 0, aliasDuplicateObjects: false });
    files.set(`crds/yaml/${name}`, withCel);
    files.set(`crds/yaml-without-cel/${name}`, plain);
    files.set(`charts/floe/crds-files/with-cel/${name}`, withCel);
    files.set(`charts/floe/crds-files/without-cel/${name}`, plain);
    files.set(`docs/spec/${kind.singular}.md`, reference(kind));
  }
  files.set('docs/spec/agent-protocol-fields.md', protocolFields({ ...fromAgent, ...fromHub }));
  files.set('docs/spec/agent-protocol-samples.json', `${JSON.stringify(protocolSamples(), null, 2)}\n`);
  files.set(
    'crds/src/generated/validators.js',
    await validators(untrusted, { knownFieldsOnly: Object.keys(fromAgent) }),
  );
  files.set('crds/src/generated/validators.d.ts', declarations(Object.keys(untrusted)));
  files.set('crds/src/generated/hub-validators.js', await validators(fromHub));
  files.set('crds/src/generated/hub-validators.d.ts', declarations(Object.keys(fromHub)));
  return files;
}

const check = process.argv.includes('--check');
const stale: string[] = [];
for (const [path, text] of await outputs()) {
  const file = join(root, path);
  const before = await readFile(file, 'utf8').catch(() => undefined);
  if (before === text) continue;
  stale.push(relative(root, file));
  if (check) continue;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}
if (check && stale.length > 0) {
  console.error(`Out of date, run \`npm run generate\` and commit: ${stale.join(', ')}`);
  process.exitCode = 1;
} else {
  console.log(stale.length === 0 ? 'Generated files are current.' : `Wrote ${stale.join(', ')}`);
}
