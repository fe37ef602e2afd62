// The flake that Floe puts around the user's: it pins inputs, adds modules and evaluates many machines at once.
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceAttributes } from '../nix/flake-url.ts';
import { nixString } from '../nix/nix-string.ts';

/** What the wrapper is made of. */
export type Wrapper = {
  /** The source, locked. */
  readonly source: SourceAttributes;
  /** Input -> flake reference; `a/b` is the input b of the input a. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Nix text of modules. */
  readonly modules: readonly string[];
  /** Attribute paths of the systems. */
  readonly systems: readonly (readonly string[])[];
};

function attributes(source: SourceAttributes): string {
  return Object.entries(source)
    .filter(([name]) => name !== '__final')
    .map(([name, value]) => `${nixString(name)} = ${typeof value === 'string' ? nixString(value) : String(value)};`)
    .join(' ');
}

/** `inputs.target.inputs."a".inputs."b".url = "…";` */
function override(name: string, url: string): string {
  const path = name.split('/').map((part) => `.inputs.${nixString(part)}`);
  return `  inputs.target${path.join('')}.url = ${nixString(url)};`;
}

/** `flake.nix` of the wrapper. */
export function wrapperFlake(wrapper: Wrapper): string {
  const modules = wrapper.modules.map((_text, index) => `./floe-modules/${index}.nix`).join(' ');
  return `{
  inputs.target = { ${attributes(wrapper.source)} };
${Object.entries(wrapper.inputs)
  .map(([name, url]) => `${override(name, url)}\n`)
  .join('')}
  outputs = { self, target }: {
    evaluate = import ./floe-evaluate.nix {
      outputs = target.outputs;
      systems = builtins.fromJSON (builtins.readFile ./systems.json);
      modules = [ ${modules} ];
    };
  };
}
`;
}

/** Evaluates systems \`from\` to \`to\`. What is merely missing is told as a value, so that it fails no other machine. */
const EVALUATE = `{ outputs, systems, modules }:
let
  inherit (builtins) attrNames concatStringsSep elemAt genList head isAttrs length tail;
  show = concatStringsSep ".";
  firstOf = n: list: genList (elemAt list) (if length list < n then length list else n);
  missing = seen: value: name:
    let known = if isAttrs value then attrNames value else [ ];
    in {
      error = "the flake has no \${show (seen ++ [ name ])}" + (
        if known == [ ] then ""
        else "; \${if seen == [ ] then "it has" else "\${show seen} has"} \${concatStringsSep ", " (firstOf 8 known)}"
          + (if length known > 8 then " and \${toString (length known - 8)} more" else "")
      );
    };
  find = value: path: seen:
    if path == [ ] then { inherit value; }
    else if isAttrs value && value ? \${head path} then find value.\${head path} (tail path) (seen ++ [ (head path) ])
    else missing seen value (head path);
  extended = path: system:
    if modules == [ ] then { value = system; }
    else if system ? extendModules then { value = system.extendModules { inherit modules; }; }
    else { error = "\${show path} has no extendModules, which spec.modules needs; make it with nixosSystem"; };
  evaluateOne = path:
    let
      found = find outputs path [ ];
      system = extended path found.value;
      toplevel = system.value.config.system.build.toplevel;
    in
    if found ? error then found
    else if system ? error then system
    else if !(system.value ? config.system.build.toplevel) then {
      error = "\${show path} has no config.system.build.toplevel; make it with nixosSystem";
    }
    else if (toplevel.type or "") != "derivation" then {
      error = "\${show path}.config.system.build.toplevel is no derivation";
    }
    else { drv = toplevel.drvPath; out = toplevel.outPath; output = toplevel.outputName or "out"; };
in
from: to: genList (i: evaluateOne (elemAt systems (from + i))) (to - from)
`;

/** Names files of the wrapper as its user knows them: a module by its field, our own file not at all. */
export function withUserNames(message: string): string {
  return message.replace(/ \(floe-evaluate\.nix:\d+\)$/, '').replace(/\bfloe-modules\/(\d+)\.nix/g, 'spec.modules[$1]');
}

/** Writes the wrapper into an empty folder. Times are fixed, so that the same wrapper is always the same path. */
export async function writeWrapper(folder: string, wrapper: Wrapper): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'floe-modules'), { recursive: true });
  const files: [string, string][] = [
    ['flake.nix', wrapperFlake(wrapper)],
    ['floe-evaluate.nix', EVALUATE],
    ['systems.json', JSON.stringify(wrapper.systems)],
    ...wrapper.modules.map((text, index): [string, string] => [`floe-modules/${index}.nix`, text]),
  ];
  for (const [name, text] of files) {
    await writeFile(join(folder, name), text);
    await utimes(join(folder, name), 1, 1);
  }
}
