// Compiles the schemas of everything that comes from outside into one module that needs no schema library at run time.
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import type { TSchema } from 'typebox';

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
    ajv.addSchema(JSON.parse(JSON.stringify(schema)), name);
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

/** The declarations that belong to {@link validators}. */
export function declarations(names: readonly string[]): string {
  const lines = names.map((name) => `export const validate${name}: Validate;`);
  return `// Made by \`npm run generate\` from the schemas of crds/src.
export type SchemaError = { instancePath: string; keyword: string; message?: string; params: Record<string, unknown> };
export type Validate = ((value: unknown) => boolean) & { errors?: SchemaError[] | null };
${lines.join('\n')}
`;
}
