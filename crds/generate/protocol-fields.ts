// Writes the page of every field of the agent protocol: its type, whether it must be there, and its limits.
import type { TSchema } from 'typebox';

type Loose = {
  type?: string;
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly Loose[];
  items?: Loose;
  properties?: Readonly<Record<string, Loose>>;
  patternProperties?: Readonly<Record<string, Loose>>;
  required?: readonly string[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
};

const HEAD = `# Agent protocol: fields

Made by \`npm run generate\` from the schemas; what the fields mean stands in the [agent protocol](agent-protocol.md), samples and a test vector in [agent-protocol-samples.json](agent-protocol-samples.json).

A field with "must" has to be there. Any other may be left out, and \`null\` is not the same as leaving it out. A message that exceeds a limit, or whose field has another type, ends the connection with \`BadMessage\`. Whole numbers lie between -(2^53 - 1) and 2^53 - 1. Lengths count Unicode code points. A time is RFC 3339 with a day that there is, no leap second, and at most nine digits of a second. Fields that are not listed are ignored.
`;

/** The page, for messages by their name, in this order. */
export function protocolFields(messages: Readonly<Record<string, TSchema>>): string {
  const parts = Object.entries(messages).map(([name, schema]) => {
    const rows = rowsOf(schema as Loose, '');
    return `\n## ${name}\n\n| field | type | must | limits |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return HEAD + parts.join('');
}

function rowsOf({ properties = {}, required = [] }: Loose, path: string): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const own = `${path}${name}`;
    const must = required.includes(name) ? 'must' : '';
    const row = `| \`${own}\` | ${typeOf(field)} | ${must} | ${limitsOf(field)} |`;
    const inner = field.items?.properties === undefined ? rowsOf(field, `${own}.`) : rowsOf(field.items, `${own}[].`);
    return [row, ...inner];
  });
}

function typeOf(field: Loose): string {
  if (field.const !== undefined) return `\`${String(field.const)}\``;
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (field.anyOf !== undefined) return field.anyOf.map(typeOf).join(' or ');
  if (field.format === 'date-time') return 'time';
  if (field.items !== undefined)
    return `list of ${field.items.properties === undefined ? typeOf(field.items) : 'objects'}`;
  if (field.patternProperties !== undefined) return 'object of texts';
  return field.type === 'string' ? 'text' : field.type === 'integer' ? 'whole number' : (field.type ?? 'any');
}

function limitsOf(field: Loose): string {
  const { minLength, maxLength, minimum, maximum, minItems, maxItems, maxProperties, pattern } = field;
  const range = (low: number | undefined, high: number | undefined, of: string): string[] =>
    low === undefined && high === undefined ? [] : [`${low ?? 0} to ${high ?? 'any'}${of}`];
  const of =
    field.items === undefined
      ? []
      : [limitsOf(field.items)].filter((text) => text !== '').map((text) => `each ${text}`);
  const values = Object.values(field.patternProperties ?? {})
    .map(limitsOf)
    .filter((text) => text !== '');
  return [
    ...range(minLength, maxLength, ' characters'),
    ...range(minimum, maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum, ''),
    ...range(minItems, maxItems, ' entries'),
    ...range(undefined, maxProperties, ' fields'),
    ...values.map((text) => `values ${text}`),
    ...of,
    ...(pattern === undefined ? [] : [`\`${pattern.replaceAll('|', '\\|')}\``]),
  ].join('; ');
}
