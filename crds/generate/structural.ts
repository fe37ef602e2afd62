// Turns a TypeBox schema into the structural form that a CustomResourceDefinition accepts.

/** A schema as plain JSON. */
export type Json = { [key: string]: unknown };

const KEPT = new Set([
  'type',
  'description',
  'default',
  'enum',
  'format',
  'pattern',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
  'anyOf',
]);

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The structural form of a schema: no `const`, no `patternProperties`, no `additionalProperties: false`.
 * Rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 * @throws Error with the path of what has no structural form
 */
export function structural(schema: unknown, path = ''): Json {
  if (!isObject(schema)) throw new Error(`${path}: not a schema`);
  const out: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (KEPT.has(key) || key.startsWith('x-kubernetes-')) out[key] = value;
  }
  const intOrString = schema['x-kubernetes-int-or-string'] === true;
  if (isObject(schema['properties'])) {
    out['properties'] = Object.fromEntries(
      Object.entries(schema['properties']).map(([name, child]) => [name, structural(child, `${path}.${name}`)]),
    );
  }
  if (isObject(schema['patternProperties'])) {
    const [child] = Object.values(schema['patternProperties']);
    out['additionalProperties'] = structural(child, `${path}.*`);
  }
  if (isObject(schema['items'])) out['items'] = structural(schema['items'], `${path}[]`);
  if (out['type'] === undefined && !intOrString) throw new Error(`${path}: a structural schema needs a type`);
  if ('const' in schema || 'allOf' in schema || '$ref' in schema) throw new Error(`${path}: no structural form`);
  return out;
}

/** The same schema with each plain default in its description, where `kubectl explain` shows it. */
export function withDefaultsTold(schema: Json): Json {
  const told = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      isObject(value) && key !== 'default' ? withDefaultsTold(value) : value,
    ]),
  );
  const { default: plain, description } = schema;
  if (!['string', 'number', 'boolean'].includes(typeof plain) || typeof description !== 'string') return told;
  return { ...told, description: `${description} Default \`${plain}\`.` };
}

/** The same schema without CEL rules, for servers older than Kubernetes 1.25, whose clients refuse the field. */
export function withoutCel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCel);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'x-kubernetes-validations')
      .map(([key, child]) => [key, withoutCel(child)]),
  );
}
