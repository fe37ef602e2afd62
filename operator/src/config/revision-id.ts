// The id of a revision: what decides which closures come out of a build, and nothing else.
import type { NixConfigSpec } from '@floe/crds/nix-config';
import { canonicalJson, shortHash } from './canonical.ts';
import type { ResolvedSource } from './source.ts';

/** Where a machine's system lies when the spec says nothing (old API servers write no defaults). */
export const DEFAULT_ATTRIBUTE = 'nixosConfigurations.{machine}';

/** 12 hex digits; what differs by machine (names, labels) is not in it. */
export function revisionId(source: ResolvedSource, spec: NixConfigSpec): string {
  return shortHash(
    {
      source: source.identity,
      attribute: spec.attribute ?? DEFAULT_ATTRIBUTE,
      modules: spec.modules ?? [],
      inputs: spec.inputs ?? {},
    },
    12,
  );
}

/** Changes exactly when the source has to be resolved anew; other parts of the spec don't matter to it. */
export function sourceKey(spec: NixConfigSpec): string {
  return canonicalJson(spec.source);
}
