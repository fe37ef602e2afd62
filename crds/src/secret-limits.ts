// Numbers and names of machine secrets that both ends need at run time, apart from the schemas.

/** Secrets of one machine at most. */
export const MAX_SECRETS = 64;
/** Bytes of one secret's content at most; as base64 it fits into a message. */
export const MAX_SECRET_BYTES = 64 * 1024;
/** Secrets that an agent asks for at once; together they stay below what a connection may have waiting. */
export const SECRETS_AT_ONCE = 4;
/** Names of files below /run/floe-secrets. */
export const SECRET_NAME_PATTERN = '^[A-Za-z0-9_][A-Za-z0-9._-]*$';
/** Permissions of a secret that says none. */
export const SECRET_MODE = '0400';
