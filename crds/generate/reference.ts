// Writes the reference page of a kind from its schema.
import { API_VERSION } from '../src/constants.ts';
import type { KindSchema } from '../src/schema.ts';
import { type Json, structural } from './structural.ts';

type Row = { field: string; type: string; text: string };

function properties(schema: Json): [string, Json][] {
  return Object.entries((schema['properties'] ?? {}) as Record<string, Json>);
}

function typeName(schema: Json): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'integer or string';
  if (Array.isArray(schema['enum'])) return schema['enum'].map((v) => `\`${v}\``).join(' \\| ');
  if (schema['type'] === 'array') return `list of ${typeName((schema['items'] ?? {}) as Json)}`;
  if (schema['additionalProperties'] !== undefined) return 'map';
  return String(schema['format'] ?? schema['type']);
}

function limits(schema: Json): string {
  const parts: string[] = [];
  if (schema['default'] !== undefined) parts.push(`Default \`${JSON.stringify(schema['default'])}\`.`);
  if (schema['minimum'] !== undefined || schema['maximum'] !== undefined) {
    parts.push(`From ${schema['minimum'] ?? '−∞'} to ${schema['maximum'] ?? '∞'}.`);
  }
  if (schema['maxItems'] !== undefined) parts.push(`At most ${schema['maxItems']}.`);
  return parts.join(' ');
}

function rows(schema: Json, path: string): Row[] {
  const required = new Set((schema['required'] ?? []) as string[]);
  return properties(schema).flatMap(([name, child]) => {
    const field = `${path}.${name}`;
    const must = required.has(name) ? ' Required.' : '';
    const text = `${String(child['description'] ?? '')}${must} ${limits(child)}`.trim();
    const inner = (child['type'] === 'array' ? child['items'] : (child['additionalProperties'] ?? child)) as Json;
    const suffix = child['type'] === 'array' ? '[]' : child['additionalProperties'] === undefined ? '' : '.*';
    return [{ field, type: typeName(child), text }, ...rows(inner, `${field}${suffix}`)];
  });
}

function rules(schema: Json): string[] {
  const own = ((schema['x-kubernetes-validations'] ?? []) as { message: string }[]).map((rule) => rule.message);
  const inner = properties(schema).flatMap(([, child]) => rules(child));
  const items = schema['items'] === undefined ? [] : rules(schema['items'] as Json);
  return [...own, ...inner, ...items];
}

function table(schema: Json, path: string): string {
  const lines = rows(schema, path).map(
    (row) => `| \`${row.field}\` | ${row.type} | ${row.text.replaceAll('\n', ' ')} |`,
  );
  return ['| Field | Type | Meaning |', '| --- | --- | --- |', ...lines].join('\n');
}

/** The reference page of a kind, as Markdown. */
export function reference(kind: KindSchema): string {
  const spec = structural(kind.spec);
  const status = structural(kind.status);
  const checks = [...new Set(rules(spec))].map((message) => `- ${message}`).join('\n');
  const columns = kind.columns.map((column) => `| ${column.name} | ${column.description} |`).join('\n');
  return `<!-- Made by \`npm run generate\` from crds/src. Change the schema, not this page. -->
# ${kind.kind}

${kind.description}

\`apiVersion: ${API_VERSION}\`, \`kind: ${kind.kind}\`, short name \`${kind.shortNames.join(', ')}\`, namespaced.

## Columns of \`kubectl get ${kind.plural}\`

| Column | Meaning |
| --- | --- |
${columns}

## Spec

${table(spec, 'spec')}

## Rules

The API server refuses what breaks one of these (Kubernetes 1.25 and later); Floe checks them again and says so in the condition \`Stalled\`.

${checks}

## Status

Written by Floe; nobody else needs to.

${table(status, 'status')}
`;
}
