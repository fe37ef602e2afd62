// Makes the CustomResourceDefinition of a kind.
import { GROUP, VERSION } from '../src/constants.ts';
import type { KindSchema } from '../src/schema.ts';
import { type Json, structural, withDefaultsTold } from './structural.ts';

/** The CustomResourceDefinition of a kind, with CEL rules. */
export function definition(kind: KindSchema): Json {
  const schema = {
    type: 'object',
    description: kind.description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `\`${GROUP}/${VERSION}\`.` },
      kind: { type: 'string', description: `\`${kind.kind}\`.` },
      metadata: { type: 'object' },
      spec: withDefaultsTold(structural(kind.spec, `${kind.kind}.spec`)),
      status: structural(kind.status, `${kind.kind}.status`),
    },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: [...kind.shortNames],
        categories: ['floe', 'nixos'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns.map((column) => ({ ...column })),
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}
