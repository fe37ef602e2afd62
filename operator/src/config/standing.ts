// Where a NixConfig stands: the one thing that its conditions, its events and its next check follow from.
import type { RevisionRecord } from '@floe/crds/revision-record';
import type { MachineFailure } from './machine-builds.ts';
import type { Problem } from './source.ts';

export type Standing =
  /** The manifest is wrong; a change of it wakes the reconciler. */
  | { readonly kind: 'invalid'; readonly problem: Problem }
  /** `built`: a revision stands, and is delivered as ever. */
  | { readonly kind: 'suspended'; readonly built: boolean }
  /** The first look at a source is under way. */
  | { readonly kind: 'looking' }
  /** The source can't be had; `held` is what is kept meanwhile. */
  | { readonly kind: 'unresolved'; readonly problem: Problem; readonly held: string | undefined }
  /** Nothing names this config. */
  | { readonly kind: 'no-machines' }
  /** A build is due and can't be started. */
  | { readonly kind: 'unprepared'; readonly problem: Problem }
  /** A build is due and starts with this very plan, or as soon as another Job is gone. */
  | { readonly kind: 'starting' }
  | {
      readonly kind: 'building';
      readonly display: string;
      readonly words: string;
      readonly trouble: string | undefined;
    }
  /** The Job as a whole failed. */
  | {
      readonly kind: 'job-failed';
      readonly reason: string;
      readonly message: string;
      readonly retryAt: string | undefined;
    }
  /** Built, but not for everyone. */
  | { readonly kind: 'incomplete'; readonly failures: readonly MachineFailure[]; readonly total: number }
  /** Built, but the cache has it no more. */
  | { readonly kind: 'lost'; readonly message: string }
  | { readonly kind: 'ready'; readonly summary: RevisionRecord['summary']; readonly closures: number };
