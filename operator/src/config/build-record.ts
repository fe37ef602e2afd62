// Turns the result of a build into the ControllerRevisions that record it.
import type { BuildRequest, BuildResult } from '@floe/crds/build';
import { MACHINES_PER_RECORD } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { RevisionRecord } from '@floe/crds/revision-record';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { ControllerRevision } from '../kube/builtin.ts';
import { hasPlaceholder, plainAttribute } from './attribute.ts';
import { ownerOf } from './job-manifest.ts';
import { ownedLabels, recordName } from './names.ts';
import { isLockSmall } from './pinned-lock.ts';

export type RecordInput = {
  readonly config: NixConfig;
  /** The Job, with what its annotations say: the source for people, and the attribute before names were put in. */
  readonly job: { readonly name: string; readonly uid: string; readonly source: string; readonly attribute: string };
  readonly request: BuildRequest;
  readonly result: BuildResult;
  /** Seconds since 1970: the number of all parts, by which newer builds win over older ones. */
  readonly number: number;
};

/** Fields of a result that contradict its request: the first that is wrong, or undefined. */
export function contradiction(
  request: BuildRequest,
  result: BuildResult,
): { field: string; message: string } | undefined {
  const asked = new Set(request.machines.map(({ name }) => name));
  for (const field of ['closures', 'failures'] as const) {
    const stranger = Object.keys(result[field]).find((name) => !asked.has(name));
    if (stranger !== undefined) {
      return { field: `${field}.${stranger}`, message: 'the request of this Job does not name this machine' };
    }
  }
  for (const name of asked) {
    const [built, failed] = [Object.hasOwn(result.closures, name), Object.hasOwn(result.failures, name)];
    if (built && failed) return { field: `failures.${name}`, message: 'the machine has a closure as well' };
    if (!built && !failed) return { field: `closures.${name}`, message: 'the machine was asked for and is missing' };
  }
  return undefined;
}

/** The records of a build, in parts of 2,000 machines; the same input always gives the same records. */
export function buildRecords(input: RecordInput): ControllerRevision<RevisionRecord>[] {
  const { config, job, request, result, number } = input;
  const names = request.machines.map(({ name }) => name).toSorted();
  const template = job.attribute;
  const shared = sharedClosure(template, result);
  // With a default only failures are worth naming.
  const listed = shared === undefined ? names : names.filter((name) => Object.hasOwn(result.failures, name));
  const parts = Math.max(1, Math.ceil(listed.length / MACHINES_PER_RECORD));
  const attributes = new Map(request.machines.map(({ name, attribute }) => [name, attribute]));
  return Array.from({ length: parts }, (_, part) => {
    const slice = listed.slice(part * MACHINES_PER_RECORD, (part + 1) * MACHINES_PER_RECORD);
    const odd = slice.flatMap((name): [string, string][] => {
      const attribute = attributes.get(name);
      return attribute === undefined || attribute === plainAttribute(template, name) ? [] : [[name, attribute]];
    });
    const data: RevisionRecord = {
      config: request.config,
      revision: request.revision,
      source: job.source,
      locked: result.locked,
      ...(part > 0 || result.lock === undefined || !isLockSmall(result.lock, request) ? {} : { lock: result.lock }),
      builtAt: rfc3339(number * 1000),
      part,
      parts,
      job: job.name,
      ...(shared === undefined ? {} : { default: shared }),
      machines: pick(slice, result.closures),
      ...(odd.length === 0 ? {} : { attributes: Object.fromEntries(odd) }),
      failures: pick(slice, result.failures),
      summary: {
        seconds: result.seconds,
        closures: new Set(Object.values(result.closures)).size,
        bytes: result.bytes,
        builtDerivations: result.builtDerivations,
        ...(result.sandboxed === undefined ? {} : { sandboxed: result.sandboxed }),
      },
    };
    return {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: recordName(request.config, request.revision, job, part),
        namespace: request.namespace,
        labels: ownedLabels(request.config, request.revision),
        ownerReferences: [ownerOf(config)],
      },
      revision: number,
      data,
    };
  });
}

/** The one closure of all machines, where the attribute is the same for all of them. */
function sharedClosure(template: string, { closures }: BuildResult): string | undefined {
  if (hasPlaceholder(template)) return undefined;
  const different = new Set(Object.values(closures));
  return different.size === 1 ? [...different][0] : undefined;
}

function pick<T>(names: readonly string[], from: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    names.flatMap((name): [string, T][] => {
      const value = Object.hasOwn(from, name) ? from[name] : undefined;
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
