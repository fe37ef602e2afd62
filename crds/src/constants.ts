// Names that every part of Floe shares: group, version, annotations, labels, audiences.

/** API group of all kinds. */
export const GROUP = 'floe.dev';
/** Served and stored version of all kinds. */
export const VERSION = 'v1alpha1';
/** `apiVersion` of all kinds. */
export const API_VERSION = 'floe.dev/v1alpha1';

/**
 * Annotations by which a person gives an order. Any new value is an order; the value handled last is echoed in
 * `status.lastHandled`. `approve` is the exception: it names what it approves, as `<run>.<step>`.
 */
export const VERBS = ['approve', 'retry', 'abort', 'continue', 'promote', 'urgent', 'rollback', 'reconcile'] as const;
export type Verb = (typeof VERBS)[number];

/** Annotation key of a verb, `floe.dev/approve` for instance. */
export function verbAnnotation(verb: Verb): string {
  return `${GROUP}/${verb}`;
}

/**
 * Annotation that names who gave an order: `<verb> <value of its annotation> <who>`. It counts for that order alone, so
 * it can stay behind. It is a client's own word, for people to read; nothing is allowed by it.
 */
export const ANNOTATION_BY = `${GROUP}/by`;

/** Label on Jobs, ConfigMaps and ControllerRevisions: name of the NixConfig they belong to. */
export const LABEL_CONFIG = 'floe.dev/config';
/** Label on Jobs, ConfigMaps and ControllerRevisions: id of the revision they belong to. */
export const LABEL_REVISION = 'floe.dev/revision';
/** Label of a machine's zone, as Kubernetes uses it for nodes. */
export const LABEL_ZONE = 'topology.kubernetes.io/zone';

/** Audience of the projected token with which a build Job reports its result to the operator. */
export const AUDIENCE_BUILDS = 'floe-builds';
/** Audience of the projected token with which a build Job uploads to the embedded cache. */
export const AUDIENCE_CACHE = 'floe-cache';

/** Secret in a tenant's namespace that holds its signing key (`secret`) and its public half (`public`). */
export const SIGNING_KEY_SECRET = 'floe-signing-key';

/** Optional Secret in a tenant's namespace with credentials of a cache that is not the embedded one; `push` alone sees it. */
export const CACHE_SECRET = 'floe-cache-credentials';

/** Characters of a lock file that a revision record keeps at most: some 300 inputs. */
export const MAX_LOCK_LENGTH = 131_072;

/** Machines that one ControllerRevision holds at most, so that no object comes near etcd's limit of 1.5 MiB. */
export const MACHINES_PER_RECORD = 2000;
