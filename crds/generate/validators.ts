// Compiles the schemas of everything that comes from outside into one module that needs no schema library at run time.
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import type { TSchema } from 'typebox';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Keywords that check nothing. */
const EXPLAINS = /^(description|title|default|examples|x-kubernetes-.*)$/;
/** Keywords whose values are data. */
const VALUES: readonly string[] = ['enum', 'const', 'required'];

/**
 * Source text of an ES module with one validating function per name. The functions of `knownFieldsOnly` take all other
 * fields out of what they check.
 */
export async function validators(
  schemas: Readonly<Record<string, TSchema>>,
  { knownFieldsOnly = [] }: { knownFieldsOnly?: readonly string[] } = {},
): Promise<string> {
  const ajv = new Ajv({
    allErrors: false,
    strict: false,
    // Infinity is what JSON.parse makes of 1e400.
    strictNumbers: true,
    // Where a schema forbids further fields, they are taken out.
    removeAdditional: true,
    verbose: false,
    code: { source: true, esm: true },
    formats: {
      'date-time': TIME,
      int64: true,
    },
  });
  const exports: Record<string, string> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    const checks = checksOnly(JSON.parse(JSON.stringify(schema)));
    ajv.addSchema((knownFieldsOnly.includes(name) ? closed(checks) : checks) as object, name);
    exports[`validate${name}`] = name;
  }
  const code = standalone.default(ajv, exports);
  const bundled = await build({
    stdin: { contents: code, resolveDir: import.meta.dirname, loader: 'js' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    minify: true,
    write: false,
  });
  const [file] = bundled.outputFiles;
  if (file === undefined) throw new Error('esbuild wrote nothing');
  return `// Made by \`npm run generate\` from the schemas of crds/src.\n${file.text}`;
}

/** RFC 3339 as the API server takes it: days that there are, no leap seconds. */
const TIME = (() => {
  const leap = '(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29';
  const day =
    '\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))';
  return new RegExp(
    `^(?:${day}|${leap})T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$`,
  );
})();

/** Forbids further fields in every object whose fields are named. */
function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value ?? null)]));
  return 'properties' in schema ? { ...inner, additionalProperties: false } : inner;
}

/** The schema without what explains it: compiled code carries its schema along. */
function checksOnly(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(checksOnly);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key]) => !EXPLAINS.test(key));
  // Beyond these a number is no longer the one that was sent.
  const safe =
    'type' in schema && schema['type'] === 'integer'
      ? { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }
      : {};
  return {
    ...safe,
    ...Object.fromEntries(
      kept.map(([key, value]) => {
        if (VALUES.includes(key)) return [key, value];
        // Here keys are names of fields, which may be called anything.
        return [key, key === 'properties' ? fields(value ?? null) : checksOnly(value ?? null)];
      }),
    ),
  };
}

function fields(properties: Json): Json {
  const entries = Object.entries(properties as Readonly<Record<string, Json>>);
  return Object.fromEntries(entries.map(([name, schema]) => [name, checksOnly(schema)]));
}

/** The declarations that belong to {@link validators}. */
export function declarations(names: readonly string[]): string {
  const lines = names.map((name) => `export const validate${name}: Validate;`);
  return `// Made by \`npm run generate\` from the schemas of crds/src.
export type SchemaError = { instancePath: string; keyword: string; message?: string; params: Record<string, unknown> };
export type Validate = ((value: unknown) => boolean) & { errors?: SchemaError[] | null };
${lines.join('\n')}
`;
}
