// Where a build container finds its input and leaves its output; the Job mounts things there.
import {
  BUILDS_TOKEN_FILE,
  CACHE_SECRET_DIR,
  CACHE_TOKEN_FILE,
  INPUTS_SECRET_DIR,
  NIX_DIR,
  REQUEST_FILE,
  SIGNING_KEY_FILE,
  SOURCE_SECRET_DIR,
} from '@floe/crds/build-layout';

/** Every file and folder that a build container uses. */
export type BuilderPaths = {
  /** The request, from the Job's ConfigMap. */
  readonly request: string;
  /** Folder of the source's Secret (`fetch` only): username, password, bearerToken, identity, known_hosts. May be absent. */
  readonly sourceSecret: string;
  /** Folder of the inputs' Secret (`fetch` only): netrc, access-tokens, identity, known_hosts. May be absent. */
  readonly inputsSecret: string;
  /** The namespace's secret key (`push` only), `name:base64`. */
  readonly signingKey: string;
  /** Token for uploads to the embedded cache (`push` only). May be absent. */
  readonly cacheToken: string;
  /** Folder of a Secret for another cache (`push` only): netrc, identity, known_hosts, aws-credentials. May be absent. */
  readonly cacheSecret: string;
  /** Token with which the result is reported (`push` only). */
  readonly reportToken: string;
  /** The folder on the volume that passes from container to container; the volume is mounted at /nix. */
  readonly work: string;
  /** Where Kubernetes reads a container's last words. */
  readonly terminationLog: string;
};

/** Where the operator's Jobs mount things. */
export const BUILDER_PATHS: BuilderPaths = {
  request: REQUEST_FILE,
  sourceSecret: SOURCE_SECRET_DIR,
  inputsSecret: INPUTS_SECRET_DIR,
  signingKey: SIGNING_KEY_FILE,
  cacheToken: CACHE_TOKEN_FILE,
  cacheSecret: CACHE_SECRET_DIR,
  reportToken: BUILDS_TOKEN_FILE,
  work: `${NIX_DIR}/floe`,
  terminationLog: '/dev/termination-log',
};
