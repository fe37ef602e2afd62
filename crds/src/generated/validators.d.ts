// Made by `npm run generate` from the schemas of crds/src.
export type SchemaError = { instancePath: string; keyword: string; message?: string; params: Record<string, unknown> };
export type Validate = ((value: unknown) => boolean) & { errors?: SchemaError[] | null };
export const validateNixConfig: Validate;
export const validateNixMachine: Validate;
export const validateRollout: Validate;
export const validateRevisionRecord: Validate;
export const validateBuildRequest: Validate;
export const validateBuildProgress: Validate;
export const validateBuildResult: Validate;
export const validateBuildError: Validate;
export const validatePollRequest: Validate;
export const validateHello: Validate;
export const validateReport: Validate;
export const validateConfirm: Validate;
export const validateWantSecrets: Validate;
