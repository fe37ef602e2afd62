// How a compiled schema becomes a parser: the typed value, or the field that is wrong and a sentence.
import type { SchemaError, Validate } from './generated/validators.js';

/** A parsed value, or where and how it is wrong; `message` is a sentence for people. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; field: string; message: string };

export type Parser<T> = (value: unknown) => Parsed<T>;

/** `/spec/steps/1/batch` -> `spec.steps[1].batch`. */
function fieldOf(instancePath: string): string {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part.replaceAll('~1', '/').replaceAll('~0', '~')}`))
    .join('')
    .replace(/^\./, '');
}

function sentence(error: SchemaError): string {
  const { keyword, params, message } = error;
  switch (keyword) {
    case 'required':
      return `the field ${String(params['missingProperty'])} is missing`;
    case 'enum':
      return `use one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    case 'const':
      return `must be ${JSON.stringify(params['allowedValue'])}`;
    case 'pattern':
      return `does not match ${String(params['pattern'])}`;
    default:
      return message ?? 'is not valid';
  }
}

/** A parser out of a compiled schema, and what a schema can't say. */
export function parser<T>(validate: Validate, more?: (value: T) => Parsed<T>): Parser<T> {
  return (value) => {
    if (validate(value)) return more === undefined ? { ok: true, value: value as T } : more(value as T);
    const error = validate.errors?.[0];
    if (error === undefined) return { ok: false, field: '', message: 'is not valid' };
    return { ok: false, field: fieldOf(error.instancePath), message: sentence(error) };
  };
}

/** A parser that picks by the field `type`. */
export function byType<T extends { type: string }>(
  table: Readonly<Record<string, Validate>>,
  more?: (value: T) => Parsed<T>,
): Parser<T> {
  const known = Object.keys(table).join(', ');
  return (value) => {
    const type = typeof value === 'object' && value !== null ? (value as { type?: unknown }).type : undefined;
    const validate = typeof type === 'string' && Object.hasOwn(table, type) ? table[type] : undefined;
    if (validate === undefined) return { ok: false, field: 'type', message: `use one of ${known}` };
    return parser<T>(validate, more)(value);
  };
}

/** What is wrong with a value, as one sentence. */
export function faultOf({ field, message }: { readonly field: string; readonly message: string }): string {
  return field === '' ? message : `${field}: ${message}`;
}
