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

/** Source text of an ES module with one validating function per name. */
export async function validators(schemas: Readonly<Record<string, TSchema>>): Promise<string> {
  const ajv = new Ajv({
    allErrors: false,
    strict: false,
    verbose: false,
    code: { source: true, esm: true },
    formats: {
      'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
      int64: true,
    },
  });
  const exports: Record<string, string> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    ajv.addSchema(checksOnly(JSON.parse(JSON.stringify(schema))) as object, name);
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

/** The schema without what explains it: compiled code carries its schema along. */
function checksOnly(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(checksOnly);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key]) => !EXPLAINS.test(key));
  return Object.fromEntries(
    kept.map(([key, value]) => {
      if (VALUES.includes(key)) return [key, value];
      // Here keys are names of fields, which may be called anything.
      return [key, key === 'properties' ? fields(value ?? null) : checksOnly(value ?? null)];
    }),
  );
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
