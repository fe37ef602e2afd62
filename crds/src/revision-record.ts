// The revision record: which closure each machine has in a revision, kept in immutable apps/v1 ControllerRevisions.
import { type Static, Type } from 'typebox';
import { MAX_LOCK_LENGTH } from './constants.ts';
import type { ObjectMeta } from './object-meta.ts';
import { OneOf, RevisionId, StorePath, Time } from './schema.ts';

/**
 * The `data` of one ControllerRevision. A revision has one or more, each with 2,000 machines at most: those of its build,
 * and one for each later build of joiners or of machines that failed. Of two that name one machine the one with the
 * higher `revision` number of the ControllerRevision counts.
 */
export const RevisionRecord = Type.Object({
  config: Type.String({ description: 'Name of the NixConfig.', maxLength: 253 }),
  revision: RevisionId('Id of the revision.'),
  source: Type.String({ description: 'What it was built from, for people.', maxLength: 512 }),
  locked: Type.Optional(Type.String({ description: 'Locked flake reference.', maxLength: 2048 })),
  lock: Type.Optional(
    Type.String({
      description:
        'Lock file of all inputs, in part 0: machines that join later are built with the same. Absent where it was too large.',
      maxLength: MAX_LOCK_LENGTH,
    }),
  ),
  builtAt: Time('When the build ended.'),
  part: Type.Integer({ description: 'Which part of the build it is, from 0.' }),
  parts: Type.Integer({ description: 'Parts of the build; the build is known once all are there.' }),
  job: Type.String({ description: 'Name of the Job that built it.', maxLength: 253 }),
  default: Type.Optional(StorePath('Closure of every machine that `machines` does not name.')),
  machines: Type.Record(Type.String(), StorePath('Closure.'), { description: 'Closure by name of the NixMachine.' }),
  attributes: Type.Optional(
    Type.Record(Type.String(), Type.String({ maxLength: 1024 }), {
      description:
        "Attribute by name of the NixMachine, for those whose attribute is not the config's with the machine's own name in it.",
    }),
  ),
  failures: Type.Record(
    Type.String(),
    Type.Object({
      stage: OneOf(['Evaluation', 'Build'], 'Where it failed.'),
      message: Type.String({ description: "Nix's error in plain words.", maxLength: 2048 }),
    }),
    { description: 'Machines that have no closure, and why, by name of the NixMachine.' },
  ),
  summary: Type.Object({
    seconds: Type.Number({ description: 'Duration of the build in seconds.' }),
    closures: Type.Integer({ description: 'Different closures.' }),
    bytes: Type.Integer({ description: 'Size of all closures together, each path once, in bytes (uncompressed).' }),
    builtDerivations: Type.Integer({ description: 'Derivations that were really built.' }),
    sandboxed: Type.Optional(Type.Boolean({ description: 'Whether Nix could shut the builds in.' })),
  }),
});
export type RevisionRecord = Static<typeof RevisionRecord>;

/** An apps/v1 ControllerRevision that holds a record. */
export type ControllerRevision = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  revision: number;
  data?: RevisionRecord;
};
