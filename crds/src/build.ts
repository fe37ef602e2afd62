// What goes into a build Job (request), what it says while it runs (progress lines) and what it reports (result).
import { type Static, Type } from 'typebox';
import { MAX_LOCK_LENGTH } from './constants.ts';
import { OneOf, RevisionId, StorePath } from './schema.ts';

/** `request.json` of the Job's ConfigMap, read by all three containers. */
export const BuildRequest = Type.Object({
  namespace: Type.String({ maxLength: 63 }),
  config: Type.String({ maxLength: 253 }),
  revision: RevisionId('Id of the revision.'),
  job: Type.String({ maxLength: 253 }),
  source: Type.Union([
    Type.Object({
      kind: Type.Literal('flake'),
      /** Flake reference, locked as far as the operator could (a git source becomes `git+URL?rev=…&dir=…`). */
      ref: Type.String({ maxLength: 4096 }),
      /** Field of the NixConfig that it comes from, for errors. */
      field: Type.Optional(OneOf(['spec.source.git', 'spec.source.flake'], 'Field.')),
    }),
    Type.Object({ kind: Type.Literal('inline'), files: Type.Record(Type.String(), Type.String()) }),
  ]),
  /** Input name -> flake reference that replaces it. */
  inputs: Type.Record(Type.String(), Type.String()),
  /** Lock file with which the revision was built before: exactly these inputs are taken. Absent: they are locked now. */
  lock: Type.Optional(Type.String({ maxLength: MAX_LOCK_LENGTH })),
  /** Nix text of modules for `extendModules`. */
  modules: Type.Array(Type.String()),
  /** Machines to build: name of the NixMachine and the attribute of its system (without `.config.system.build.toplevel`). */
  machines: Type.Array(
    Type.Object({ name: Type.String({ maxLength: 253 }), attribute: Type.String({ maxLength: 1024 }) }),
  ),
  /** Machines that one evaluation takes at most; absent: by memory. */
  machinesPerEvaluation: Type.Optional(Type.Integer({ minimum: 1 })),
  cache: Type.Object({
    /** Store URL that `nix copy --to` takes. */
    url: Type.String(),
    /** Substituter URL that is used to fetch what is there already. */
    substituter: Type.String(),
    /** `name:base64` public key of the namespace. */
    publicKey: Type.String(),
  }),
  /** Further substituters with their public keys, `https://cache.nixos.org` for instance. */
  substituters: Type.Array(Type.Object({ url: Type.String(), publicKeys: Type.Array(Type.String()) })),
  /** Where `push` reports: `https://…/v1/builds`. */
  reportUrl: Type.String(),
  /** PEM of the CA that the report's server is checked with; absent: the system's. */
  reportCa: Type.Optional(Type.String()),
});
export type BuildRequest = Static<typeof BuildRequest>;

/** One JSON line on standard output of `fetch`, `build` or `push`; lines that don't parse are Nix's own words. */
export const BuildProgress = Type.Object({
  floe: Type.Literal('progress'),
  phase: OneOf(['Fetching', 'Evaluating', 'Building', 'Pushing'], 'Where the Job is.'),
  evaluated: Type.Optional(Type.Integer()),
  built: Type.Optional(Type.Integer()),
  total: Type.Optional(Type.Integer()),
  message: Type.Optional(Type.String({ maxLength: 1024 })),
});
export type BuildProgress = Static<typeof BuildProgress>;

/** Body of `POST /v1/builds`. */
export const BuildResult = Type.Object({
  namespace: Type.String({ maxLength: 63 }),
  config: Type.String({ maxLength: 253 }),
  revision: RevisionId('Id of the revision.'),
  job: Type.String({ maxLength: 253 }),
  /** Locked flake reference that was built. */
  locked: Type.String({ maxLength: 2048 }),
  /** Lock file of all inputs, as compact JSON; absent where it is too large to be kept. */
  lock: Type.Optional(Type.String({ maxLength: MAX_LOCK_LENGTH })),
  /** Closure by machine. */
  closures: Type.Record(Type.String(), StorePath('Closure.')),
  /** Why a machine has none. */
  failures: Type.Record(
    Type.String(),
    Type.Object({
      stage: OneOf(['Evaluation', 'Build'], 'Where it failed.'),
      message: Type.String({ maxLength: 2048 }),
    }),
  ),
  seconds: Type.Number({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0 }),
  builtDerivations: Type.Integer({ minimum: 0 }),
  /** Whether Nix could shut builds in; where it could not, all builds of the namespace must trust each other. */
  sandboxed: Type.Optional(Type.Boolean()),
});
export type BuildResult = Static<typeof BuildResult>;

/** Termination message of a container that failed: what, where and what to do. */
export const BuildError = Type.Object({
  error: Type.String({ maxLength: 2048 }),
  field: Type.Optional(Type.String({ maxLength: 256 })),
  remedy: Type.Optional(Type.String({ maxLength: 1024 })),
});
export type BuildError = Static<typeof BuildError>;
