// Reads paths of the Kubernetes API.

export interface ApiPath {
  /** `batch/v1`, or `v1` for the core group. */
  readonly apiVersion: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** The parts of `/apis/batch/v1/namespaces/demo/jobs/build/status` and the like; undefined for other paths. */
export function parseApiPath(path: string): ApiPath | undefined {
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  const prefix = parts.shift();
  const version = prefix === 'api' ? parts.shift() : prefix === 'apis' ? parts.splice(0, 2).join('/') : undefined;
  if (version === undefined) {
    return undefined;
  }
  const inNamespace = parts[0] === 'namespaces' && parts.length > 2;
  const namespace = inNamespace ? parts.splice(0, 2)[1] : undefined;
  const [plural, name, subresource] = parts;
  return plural === undefined ? undefined : { apiVersion: version, namespace, plural, name, subresource };
}

/** Name of a collection over all namespaces. */
export function collectionOf(path: { readonly apiVersion: string; readonly plural: string }): string {
  return `${path.apiVersion}/${path.plural}`;
}
