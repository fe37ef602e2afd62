// Who runs a command: as the API server knows them, else as the kubeconfig calls them.
import type { KubeObject } from '@floe/operator/kube/object';
import type { Resource } from '@floe/operator/kube/resource';
import type { Client } from './cluster.ts';

interface SelfSubjectReview extends KubeObject {
  status?: { userInfo?: { username?: string } };
}

/** Kubernetes 1.28 and later have it; older ones answer 404. */
const selfSubjectReviews: Resource<SelfSubjectReview> = {
  apiVersion: 'authentication.k8s.io/v1',
  kind: 'SelfSubjectReview',
  plural: 'selfsubjectreviews',
  namespaced: false,
};

/** The user's name; undefined where neither knows it. It is for people to read: nothing is allowed by it. */
export async function whoAmI(
  client: Pick<Client, 'create'>,
  { kubeconfigUser, signal }: { kubeconfigUser: () => Promise<string | undefined>; signal: AbortSignal },
): Promise<string | undefined> {
  const review: SelfSubjectReview = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
    metadata: { name: '' },
  };
  try {
    const { status } = await client.create(selfSubjectReviews, review, { signal });
    if (status?.userInfo?.username !== undefined) return status.userInfo.username;
  } catch (error) {
    signal.throwIfAborted();
    // Not there, or not allowed: the kubeconfig has a name, too.
    if (!(error instanceof Error)) throw error;
  }
  return kubeconfigUser();
}

/** The name of the user in the context of a kubeconfig; undefined where it has none. */
export async function kubeconfigUser(options: {
  readonly file: string | undefined;
  readonly context: string | undefined;
}): Promise<string | undefined> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  if (options.file === undefined) config.loadFromDefault();
  else config.loadFromFile(options.file);
  return config.getContextObject(options.context ?? config.getCurrentContext())?.user;
}
