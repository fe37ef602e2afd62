// Reads the documents of a YAML or JSON stream.
import { parseAllDocuments } from 'yaml';
import { InputError } from './input-error.ts';

/** All documents of a text: YAML documents, one JSON value, or JSON values one after the other. Empty ones are left out. */
export function documentsOf(text: string, source: string): unknown[] {
  const trimmed = text.trimStart();
  const json = trimmed.startsWith('{') || trimmed.startsWith('[') ? jsonValues(trimmed) : undefined;
  return (json ?? yamlDocuments(text, source))
    .filter((value) => value !== null && value !== undefined)
    .map(withoutNulls);
}

/** JSON values in a row; undefined where the text is something else, flow YAML for instance. */
function jsonValues(text: string): unknown[] | undefined {
  try {
    return [JSON.parse(text)];
  } catch {
    // Not one value: perhaps several.
  }
  try {
    return valueTexts(text).map((part): unknown => JSON.parse(part));
  } catch {
    return undefined;
  }
}

/** The text cut after each value that ends at the outermost level. */
function valueTexts(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth += 1;
    if (token !== '}' && token !== ']') continue;
    depth -= 1;
    if (depth > 0) continue;
    parts.push(text.slice(start, index + 1));
    start = index + 1;
  }
  const rest = text.slice(start);
  return rest.trim() === '' ? parts : [...parts, rest];
}

function yamlDocuments(text: string, source: string): unknown[] {
  const documents = parseAllDocuments(text, { prettyErrors: true });
  return [...documents].map((document) => {
    const problem = document.errors[0];
    if (problem !== undefined) {
      const line = problem.linePos?.[0].line;
      throw new InputError({
        error: `not YAML or JSON: ${problem.message.split('\n')[0] ?? 'unreadable'}`,
        field: line === undefined ? source : `${source}:${line}`,
        remedy: 'give what `kubectl get … -o yaml` or `-o json` prints',
      });
    }
    try {
      return document.toJS({ maxAliasCount: 100 }) as unknown;
    } catch (cause) {
      throw new InputError(
        { error: 'YAML with too many aliases', field: source, remedy: 'write the values out' },
        { cause },
      );
    }
  });
}

/** Manifests say `creationTimestamp: null` for what is not there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null)
      .map(([key, field]) => [key, withoutNulls(field)]),
  );
}
