// Decides when the source of a config is looked at again.

import { durationSeconds } from '@floe/crds/duration';
import type { NixConfig } from '@floe/crds/nix-config';
import { shortHash } from './canonical.ts';
import { sourceKey } from './revision-id.ts';
import type { SourceView } from './snapshot.ts';

export const DEFAULT_INTERVAL_SECONDS = 300;
const FIRST_RETRY_SECONDS = 5;

export type LookDecision = {
  readonly look: boolean;
  /** Seconds until the next look is due; undefined where only an edit or an order brings one. */
  readonly afterSeconds: number | undefined;
};

/** `spec.interval` in seconds, 1 at least. */
export function intervalSeconds({ interval }: NixConfig['spec']): number {
  return Math.max(1, durationSeconds(interval ?? '') ?? DEFAULT_INTERVAL_SECONDS);
}

/** Whether to look now: the source changed, somebody asks, or the time has come. */
export function decideLook(config: NixConfig, view: SourceView, order: string | undefined, now: Date): LookDecision {
  if (view.looking) return { look: false, afterSeconds: undefined };
  const { generation } = config.metadata;
  // Whoever changes the spec expects the newest source with it, also where the source is the same.
  const news = view.at === undefined || view.generation !== generation || view.key !== sourceKey(config.spec);
  if (news || (order !== undefined && view.order !== order)) return { look: true, afterSeconds: undefined };
  // Inline files can't change without the object.
  if (config.spec.source.inline !== undefined) return { look: false, afterSeconds: undefined };
  const left = (view.at ?? 0) / 1000 + delay(config, view) - now.getTime() / 1000;
  // A clock that was set back must not stop looking for longer than one delay.
  const afterSeconds = Math.min(left, delay(config, view));
  return afterSeconds <= 0 ? { look: true, afterSeconds: undefined } : { look: false, afterSeconds };
}

/** The interval, or the back-off after failures, spread by a tenth so that many configs don't ask at once. */
function delay(config: NixConfig, view: SourceView): number {
  const interval = intervalSeconds(config.spec);
  const backoff = FIRST_RETRY_SECONDS * 2 ** Math.min(20, Math.max(0, view.failures - 1));
  const base = view.problem?.transient === true ? Math.min(interval, backoff) : interval;
  const spread = Number.parseInt(shortHash([config.metadata.uid, view.at], 4), 16) / 0xffff;
  return base * (0.95 + spread * 0.1);
}
