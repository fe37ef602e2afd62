// What the plan of a NixConfig is made from: everything that was observed at one moment.
import type { BuildProgress } from '@floe/crds/build';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import type { Job, Pod } from '../kube/builtin.ts';
import type { ConfigSettings } from './settings.ts';
import type { Problem, ResolvedSource } from './source.ts';

/** What is known of a source since the operator started. */
export type SourceView = {
  /** A look is under way. */
  readonly looking: boolean;
  /** `sourceKey` of the spec that was looked at last; undefined before the first look. */
  readonly key?: string;
  /** What the newest look that worked found, for this key. */
  readonly source?: ResolvedSource;
  /** Why the newest look failed. */
  readonly problem?: Problem;
  /** Looks that failed since one worked. */
  readonly failures: number;
  /** When the newest look ended, in milliseconds since 1970. */
  readonly at?: number;
  /** `metadata.generation` of the config when the newest look began. */
  readonly generation?: number;
  /** Value of the annotation floe.dev/reconcile when the newest look began. */
  readonly order?: string;
};

/** What the cache was found to have of the newest revision, since the operator started. */
export type CacheView = {
  /** A look is under way. */
  readonly looking: boolean;
  /** `key` of the newest look that ended; undefined before the first. */
  readonly key?: string;
  /** Where was looked. */
  readonly url?: string;
  /** When that look ended, in milliseconds since 1970. */
  readonly at?: number;
  /** The order of a person that it answered. */
  readonly order?: string;
  /** Looks that ended. */
  readonly rounds: number;
  /** Closures that the cache says it does not have. */
  readonly missing: readonly string[];
  /** Closures of which the cache said whether it has them; 0 while it does not answer. */
  readonly asked: number;
};

/** Whether a build could be started now: the signing key is there, so are the Secrets that the Job mounts. */
export type Preparation =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ready'; readonly publicKey: string }
  | {
      readonly kind: 'problem';
      readonly problem: Problem;
      /** Of the signing key, where that is there. */
      readonly publicKey?: string;
    };

export type Snapshot = {
  readonly config: NixConfig;
  readonly source: SourceView;
  readonly cache: CacheView;
  /** NixMachines whose configRef names the config. */
  readonly machines: readonly NixMachine[];
  /** Jobs and pods that carry the config's label. */
  readonly jobs: readonly Job[];
  readonly pods: readonly Pod[];
  /** Revision records of the config. */
  readonly records: readonly ControllerRevision[];
  /** Rollouts whose configRef names the config. */
  readonly rollouts: readonly Rollout[];
  /** The newest progress that each Job's log told, by name of the Job. */
  readonly progress: ReadonlyMap<string, BuildProgress>;
  readonly preparation: Preparation;
  readonly settings: ConfigSettings;
};
