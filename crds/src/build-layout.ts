// Where the containers of a build Job find their files; the operator mounts them, `builder fetch|build|push` reads them.

/** The Nix store of the Job, one emptyDir in all three containers. */
export const NIX_DIR = '/nix';
/** The request (`BuildRequest`), in all three containers. */
export const REQUEST_FILE = '/etc/floe/request/request.json';
/** `fetch` only: Secret of `spec.source.git.secretRef`, one file a key; absent where there is none. */
export const SOURCE_SECRET_DIR = '/etc/floe/source';
/** `fetch` only: Secret of `spec.source.inputsSecretRef`, one file a key; absent where there is none. */
export const INPUTS_SECRET_DIR = '/etc/floe/inputs';
/** `push` only: the namespace's signing key, `name:base64`. */
export const SIGNING_KEY_FILE = '/etc/floe/signing/secret';
/** `push` only: projected token for `POST /v1/builds`. */
export const BUILDS_TOKEN_FILE = '/var/run/floe/tokens/builds';
/** `push` only: projected token for uploads to the embedded cache. */
export const CACHE_TOKEN_FILE = '/var/run/floe/tokens/cache';
/** Where a container that fails writes its `BuildError`, Kubernetes' own default. */
export const TERMINATION_FILE = '/dev/termination-log';
/** User and group of the containers; the image has an entry for it in /etc/passwd, which ssh insists on. */
export const BUILD_UID = 65532;
