// Made by `npm run generate` from the schemas of crds/src.
export type SchemaError = { instancePath: string; keyword: string; message?: string; params: Record<string, unknown> };
export type Validate = ((value: unknown) => boolean) & { errors?: SchemaError[] | null };
export const validateChallenge: Validate;
export const validateWelcome: Validate;
export const validateRefused: Validate;
export const validateDesiredMessage: Validate;
export const validateAck: Validate;
export const validateConfirmed: Validate;
export const validateDenied: Validate;
export const validatePollAnswer: Validate;
export const validateSecretsMessage: Validate;
export const validateSecretMessage: Validate;
