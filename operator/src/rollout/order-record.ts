// Who gave which order when: the last orders of people, as the status keeps them.
import { ANNOTATION_BY, type Verb, verbAnnotation } from '@floe/crds/constants';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { clip } from './wording.ts';

export type OrderRecord = NonNullable<RolloutStatus['orders']>[number];

/** Orders that a status keeps. */
const KEPT = 10;
/** Characters of a name; as `status.urgent.by` takes. */
const LONGEST = 253;

/** The orders of people with the new ones on top; `reconcile`, which tools give all the time, is not kept. */
export function ordersWith(
  rollout: Rollout,
  verbs: ReadonlyMap<Verb, string>,
  now: number,
): Pick<RolloutStatus, 'orders'> {
  const added = [...verbs]
    .filter(([verb]) => verb !== 'reconcile')
    .map(([verb, value]): OrderRecord => {
      const by = givenBy(rollout, verb, value);
      return { verb, value, ...(by === undefined ? {} : { by }), at: rfc3339Exact(now) };
    });
  const orders = [...added.reverse(), ...(rollout.status?.orders ?? [])].slice(0, KEPT);
  return orders.length === 0 ? {} : { orders };
}

/**
 * Who gave an order: the annotation `floe.dev/by` where it speaks of this very order, else the field manager that owns
 * the annotation, `kubectl-annotate` for instance. Both are what the client says of itself.
 */
export function givenBy({ metadata }: Rollout, verb: Verb, value: string): string | undefined {
  const by = metadata.annotations?.[ANNOTATION_BY];
  const head = `${verb} ${value} `;
  const said = by?.startsWith(head) ? by.slice(head.length).trim() : '';
  if (said !== '') return clip(said, LONGEST);
  const field = `f:${verbAnnotation(verb)}`;
  // A file may hold anything there.
  const writers: unknown = metadata.managedFields;
  const owner = Array.isArray(writers) ? writers.findLast((writer) => annotationsOf(writer)[field] !== undefined) : {};
  const manager = objectOf(owner)['manager'];
  return typeof manager !== 'string' || manager === '' ? undefined : clip(manager, LONGEST);
}

/** The annotations that a writer owns, as keys. */
function annotationsOf(writer: unknown): Record<string, unknown> {
  return objectOf(objectOf(objectOf(objectOf(writer)['fieldsV1'])['f:metadata'])['f:annotations']);
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
