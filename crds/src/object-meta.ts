// The part of Kubernetes' ObjectMeta that Floe reads, and the condition type that all kinds share.

/** A reference to the object that owns this one. */
export type OwnerReference = {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
};

/** One writer of an object, and the fields that it owns, as keys `f:NAME` within each other. */
export type ManagedFields = {
  manager?: string;
  operation?: string;
  time?: string;
  subresource?: string;
  fieldsV1?: Record<string, unknown>;
};

/** Metadata of an object, times as RFC 3339 strings. */
export type ObjectMeta = {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  /** Who wrote which fields; kept for Rollouts only. */
  managedFields?: ManagedFields[];
};

/** A condition as in meta/v1. */
export type Condition = {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
};
