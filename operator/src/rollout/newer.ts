// What a Rollout at rest waits for: a newer revision that its config builds, or may be about to.
import type { NixConfig } from '@floe/crds/nix-config';
import type { Snapshot } from './snapshot.ts';
import { clip } from './wording.ts';

/** Phases of a build that is under way. */
const BUILDING: readonly string[] = ['Fetching', 'Evaluating', 'Building', 'Pushing', 'Testing'];

/**
 * Why a Rollout at rest is in progress all the same, with what it says of itself; undefined: nothing newer is to come. A
 * config that has been edited may lead to another revision: nobody knows before it was looked at.
 */
export function newerOf({ config }: Snapshot, said: string): { reason: string; message: string } | undefined {
  if (config === undefined || config.spec.suspend === true) return undefined;
  const { name } = config.metadata;
  if (isUnseen(config)) {
    return { reason: 'ConfigUnseen', message: clip(`NixConfig ${name} has been edited and is looked at; ${said}`) };
  }
  if (!isBuildingNewer(config)) return undefined;
  const { phase } = config.status?.build ?? {};
  return {
    reason: 'NewRevisionBuilding',
    message: clip(`NixConfig ${name} builds a newer revision (${phase}); ${said}`),
  };
}

function isUnseen({ metadata: { generation }, status }: NixConfig): boolean {
  const seen = status?.observedGeneration;
  return generation !== undefined && seen !== undefined && seen !== generation;
}

function isBuildingNewer({ status }: NixConfig): boolean {
  const { build, revision } = status ?? {};
  if (build?.phase === undefined || !BUILDING.includes(build.phase)) return false;
  return build.revision === undefined || build.revision !== revision?.id;
}
