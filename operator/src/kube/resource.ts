// Which kinds there are and under which path the API server serves them.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import type { ConfigMap, ControllerRevision, Job, KubeEvent, Lease, Pod, Secret, TokenReview } from './builtin.ts';
import type { KubeObject, ObjectKey } from './object.ts';

/** One kind of the API; the type parameter is what its objects look like. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** Group and version, `batch/v1`; `v1` for the core group. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Name in paths, `jobs`. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set; carries the type of the objects. */
  readonly objects?: T;
}

function namespaced<T extends KubeObject>(apiVersion: string, kind: string, plural: string): Resource<T> {
  return { apiVersion, kind, plural, namespaced: true };
}

const FLOE = 'floe.dev/v1alpha1';

export const nixConfigs: Resource<NixConfig> = namespaced(FLOE, 'NixConfig', 'nixconfigs');
export const nixMachines: Resource<NixMachine> = namespaced(FLOE, 'NixMachine', 'nixmachines');
export const rollouts: Resource<Rollout> = namespaced(FLOE, 'Rollout', 'rollouts');
export const jobs: Resource<Job> = namespaced('batch/v1', 'Job', 'jobs');
export const pods: Resource<Pod> = namespaced('v1', 'Pod', 'pods');
export const configMaps: Resource<ConfigMap> = namespaced('v1', 'ConfigMap', 'configmaps');
export const secrets: Resource<Secret> = namespaced('v1', 'Secret', 'secrets');
export const controllerRevisions: Resource<ControllerRevision> = namespaced(
  'apps/v1',
  'ControllerRevision',
  'controllerrevisions',
);
export const leases: Resource<Lease> = namespaced('coordination.k8s.io/v1', 'Lease', 'leases');
export const events: Resource<KubeEvent> = namespaced('events.k8s.io/v1', 'Event', 'events');
export const tokenReviews: Resource<TokenReview> = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'TokenReview',
  plural: 'tokenreviews',
  namespaced: false,
};

/** Path of a kind's collection: `/apis/batch/v1/namespaces/demo/jobs`; without namespace, of all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root = resource.apiVersion.includes('/') ? `/apis/${resource.apiVersion}` : `/api/${resource.apiVersion}`;
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource.plural}`;
}

/** Path of one object or of a subresource of it. Throws a TypeError when the key lacks its namespace. */
export function objectPath(resource: Resource, key: ObjectKey, subresource?: string): string {
  if (resource.namespaced && key.namespace === undefined) {
    throw new TypeError(`the ${resource.kind} ${key.name} is named without its namespace`);
  }
  const path = `${collectionPath(resource, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
