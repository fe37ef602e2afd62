// Where the containers of a build Job find their files; the operator mounts them, `builder fetch|build|push` reads them.

/** The Nix store of the Job, one emptyDir in all three containers. */
export const NIX_DIR = '/nix';
/** The request (`BuildRequest`), in all three containers. */
export const REQUEST_FILE = '/floe/request.json';
/** `fetch` only: Secret of `spec.source.git.secretRef`, one file a key; absent where there is none. */
export const SOURCE_SECRET_DIR = '/floe/source-secret';
/** `fetch` only: Secret of `spec.source.inputsSecretRef`, one file a key; absent where there is none. */
export const INPUTS_SECRET_DIR = '/floe/inputs-secret';
/** `push` only: the namespace's signing key, `name:base64`. */
export const SIGNING_KEY_FILE = '/floe/signing-key/secret';
/** `push` only: projected token for uploads to the embedded cache. */
export const CACHE_TOKEN_FILE = '/floe/cache-token/token';
/** `push` only: Secret for another cache (netrc, identity, known_hosts, aws-credentials); empty where there is none. */
export const CACHE_SECRET_DIR = '/floe/cache-secret';
/** `push` only: projected token for `POST /v1/builds`. */
export const BUILDS_TOKEN_FILE = '/floe/report-token/token';
/** User and group of the containers; the image has an entry for it in /etc/passwd, which ssh insists on. */
export const BUILD_UID = 65532;
