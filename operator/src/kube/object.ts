// What every Kubernetes object has, and the keys by which stores and queues name objects.
import type { ObjectMeta } from '@floe/crds/object-meta';

export type { ObjectMeta, OwnerReference } from '@floe/crds/object-meta';

/** Any object of the Kubernetes API, as its JSON says; times are strings. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** Name and, for namespaced kinds, namespace of an object. */
export interface ObjectKey {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** `namespace/name` of an object, or of a reference to one; `name` alone where there is no namespace. */
export function keyOf(object: { readonly metadata: ObjectKey } | ObjectKey): string {
  const { namespace, name } = 'metadata' in object ? object.metadata : object;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The inverse of `keyOf`. */
export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
