// Building blocks of the schemas: durations, quantities of machines, closures, conditions.
import { type TSchema, Type } from 'typebox';

/** A duration in Go's form, as Kubernetes writes it: `90s`, `5m`, `1h30m`. */
export const Duration = (description: string, defaultValue?: string) =>
  Type.String({
    description,
    maxLength: 32,
    pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$',
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
  });

/** A point in time, RFC 3339 in UTC. */
export const Time = (description: string) => Type.String({ description, format: 'date-time' });

/** The name of a Kubernetes object (RFC 1123 subdomain). */
export const ObjectName = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' });

/** One of a few words; the form that a structural schema accepts. */
export const OneOf = <const T extends readonly string[]>(values: T, description: string, defaultValue?: T[number]) =>
  Type.Unsafe<T[number]>({
    type: 'string',
    enum: [...values],
    description,
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
  });

/** A count of machines or a share in percent; the schema's CEL rule refuses zero and anything else. */
export const CountOrPercent = (description: string, defaultValue?: number | string) =>
  Type.Unsafe<number | string>({
    description,
    'x-kubernetes-int-or-string': true,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    maxLength: 8,
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
    'x-kubernetes-validations': [
      {
        rule: "type(self) == int ? int(self) > 0 : string(self).matches('^([1-9][0-9]?|100)%$')",
        message: 'use a count above 0 or a share from "1%" to "100%"',
      },
    ],
  });

/** An absolute path in the Nix store. */
export const StorePath = (description: string) =>
  Type.String({ description, maxLength: 512, pattern: '^/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+$' });

/** An id of 12 hex digits that names a revision of a NixConfig. */
export const RevisionId = (description: string) => Type.String({ description, maxLength: 64 });

/** Exactly one of the named fields of an object is set; as a CEL rule. */
export function exactlyOneOf(fields: readonly string[], where: string): { rule: string; message: string } {
  const sum = fields.map((f) => `(has(self.${f}) ? 1 : 0)`).join(' + ');
  return { rule: `${sum} == 1`, message: `${where}: set exactly one of ${fields.join(', ')}` };
}

/** A label selector as in apps/v1. */
export const LabelSelector = (description: string) =>
  Type.Object(
    {
      matchLabels: Type.Optional(
        Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
          description: 'Labels that a machine must have, each with exactly this value.',
          maxProperties: 32,
        }),
      ),
      matchExpressions: Type.Optional(
        Type.Array(
          Type.Object({
            key: Type.String({ description: 'The label that the requirement is about.', maxLength: 317 }),
            operator: OneOf(['In', 'NotIn', 'Exists', 'DoesNotExist'], 'How the label is compared with `values`.'),
            values: Type.Optional(
              Type.Array(Type.String({ maxLength: 63 }), {
                description: 'The values to compare with; empty for Exists and DoesNotExist.',
                maxItems: 64,
              }),
            ),
          }),
          { description: 'Requirements that all must hold.', maxItems: 32 },
        ),
      ),
    },
    { description },
  );

/** A condition as in meta/v1. */
const Condition = Type.Object({
  type: Type.String({ description: 'Name of the condition.', maxLength: 64 }),
  status: OneOf(['True', 'False', 'Unknown'], 'Whether the condition holds.'),
  reason: Type.String({ description: 'One word in CamelCase for programs.', maxLength: 128 }),
  message: Type.String({
    description: 'A sentence for people: what, where, since when or what next.',
    maxLength: 2048,
  }),
  lastTransitionTime: Time('When `status` changed last.'),
  observedGeneration: Type.Optional(
    Type.Integer({ description: 'The `metadata.generation` that the condition was computed from.' }),
  ),
});

/** The conditions of a kind, keyed by type. */
export const Conditions = Type.Array(Condition, {
  description: 'What holds, for people and for kstatus; keyed by type.',
  maxItems: 16,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
});

/** Status fields that all kinds share. */
export const ObservedGeneration = Type.Optional(
  Type.Integer({ description: 'The `metadata.generation` that this status was computed from; -1: none yet.' }),
);

/**
 * The status of an object that nobody has looked at yet, set by the API server: kstatus takes an object without any status
 * for done, so that who waits for a new Rollout would not wait at all.
 */
export const UNSEEN = { observedGeneration: -1 } as const;

/** Verbs (annotations) that were handled, each with the value that was handled last. */
export const LastHandled = Type.Optional(
  Type.Record(Type.String(), Type.String({ maxLength: 256 }), {
    description: 'Verb annotations that were carried out, each with the value handled last.',
    maxProperties: 16,
  }),
);

/** The top of a kind: everything but `metadata`, which the API server defines. */
export type KindSchema = {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly columns: readonly {
    readonly name: string;
    readonly type: 'string' | 'integer' | 'date';
    readonly jsonPath: string;
    readonly description: string;
    readonly priority?: number;
  }[];
  readonly spec: TSchema;
  readonly status: TSchema;
};
