// The attribute of a machine, `nixosConfigurations."web.example"`, as a list of names.
import { BuildFailure } from './failure.ts';

/** Splits an attribute path as Nix does: names by dots, quoted where they hold one. Undefined when malformed. */
export function attributeNames(text: string): string[] | undefined {
  const names: string[] = [];
  let rest = text.trim();
  for (;;) {
    const match = /^(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_][A-Za-z0-9_'+-]*))(\.|$)/.exec(rest);
    if (match === null) return undefined;
    names.push(match[2] ?? (match[1] ?? '').replace(/\\(.)/g, '$1'));
    rest = rest.slice(match[0].length);
    if (match[3] === '') return rest === '' ? names : undefined;
  }
}

/** @throws BuildFailure that names the attribute */
export function needAttributeNames(text: string): string[] {
  const names = attributeNames(text);
  if (names !== undefined) return names;
  throw new BuildFailure(`"${text}" is no attribute path`, {
    field: 'spec.attribute',
    remedy:
      'write names with dots between them, nixosConfigurations.{machine} for instance; quote names that hold a dot',
  });
}
