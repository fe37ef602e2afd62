// Says where a machine's system lies in the flake: the config's attribute with the machine's own values in it.
import type { NixMachine } from '@floe/crds/nix-machine';

export type AttributeResult =
  | { readonly kind: 'attribute'; readonly attribute: string }
  | { readonly kind: 'missing-label'; readonly label: string };

const PLACEHOLDER = /\{machine\}|\{label:([^{}]+)\}/g;

/** Whether machines differ by this attribute; without a placeholder all share one closure. */
export function hasPlaceholder(template: string): boolean {
  return template.search(PLACEHOLDER) >= 0;
}

/** The attribute of one machine. Values that are no plain Nix name are quoted, so that they stay values. */
export function machineAttribute(template: string, machine: Pick<NixMachine, 'metadata' | 'spec'>): AttributeResult {
  let missing: string | undefined;
  const attribute = template.replaceAll(PLACEHOLDER, (_, label: string | undefined, offset: number) => {
    const value =
      label === undefined ? (machine.spec.hostName ?? machine.metadata.name) : machine.metadata.labels?.[label];
    if (value === undefined || value === '') missing ??= label ?? 'machine';
    return quoted(value ?? '', template.slice(0, offset));
  });
  return missing === undefined ? { kind: 'attribute', attribute } : { kind: 'missing-label', label: missing };
}

/** The attribute that a machine has which says nothing of its own: no host name, no label. */
export function plainAttribute(template: string, name: string): string {
  return template.replaceAll(PLACEHOLDER, (_, label: string | undefined, offset: number) =>
    label === undefined ? quoted(name, template.slice(0, offset)) : '',
  );
}

function quoted(value: string, before: string): string {
  const escaped = value.replaceAll(/["\\]|\$\{/g, '\\$&');
  const insideQuotes = (before.match(/(?<!\\)"/g)?.length ?? 0) % 2 === 1;
  if (insideQuotes || /^[A-Za-z_][A-Za-z0-9_'-]*$/.test(value)) return escaped;
  return `"${escaped}"`;
}
