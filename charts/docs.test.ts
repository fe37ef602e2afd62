// What the documents say is true: manifests fit the API, values fit the chart, links lead somewhere.
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseNixConfig, parseNixMachine, parseRollout } from '@floe/crds/parse';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { chart, helm } from './helm.ts';

const root = join(import.meta.dirname, '..');
const parsers = { NixConfig: parseNixConfig, NixMachine: parseNixMachine, Rollout: parseRollout };

type Manifest = { readonly kind: keyof typeof parsers; readonly spec: unknown };
type Schema = { readonly properties?: Record<string, Schema>; readonly items?: Schema };

async function documents(): Promise<string[]> {
  const found = ['README.md'];
  for (const entry of await readdir(join(root, 'docs'), { recursive: true })) {
    if (entry.endsWith('.md')) found.push(join('docs', entry));
  }
  return found;
}

/** Fenced blocks of a document: language and text. */
function blocks(text: string): { language: string; text: string }[] {
  return [...text.matchAll(/^```([a-z]*)\n([\s\S]*?)^```$/gm)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}

/** Texts of here-documents in a shell block, and YAML blocks as they are. */
function yamlTexts(block: { language: string; text: string }): string[] {
  if (block.language === 'yaml') return [block.text];
  return [...block.text.matchAll(/<<'EOF'\n([\s\S]*?)\nEOF$/gm)].map(([, body = '']) => body);
}

async function schemaOf(kind: string): Promise<Schema> {
  const crd = parse(await readFile(join(root, 'crds', 'yaml', `floe.dev_${kind.toLowerCase()}s.yaml`), 'utf8'));
  return crd.spec.versions[0].schema.openAPIV3Schema.properties.spec;
}

/** Fields of a value that its schema does not have; the API server would drop them without a word. */
function unknownFields(value: unknown, schema: Schema, path: string): string[] {
  if (Array.isArray(value)) return value.flatMap((one, at) => unknownFields(one, schema.items ?? {}, `${path}[${at}]`));
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return [];
  const { properties } = schema;
  return Object.entries(value).flatMap(([name, one]) => {
    const field = properties[name];
    return field === undefined ? [`${path}.${name}`] : unknownFields(one, field, `${path}.${name}`);
  });
}

test('every manifest in the documents is one that the API takes', async () => {
  let count = 0;
  for (const document of await documents()) {
    for (const text of blocks(await readFile(join(root, document), 'utf8')).flatMap(yamlTexts)) {
      for (const one of parseAllDocuments(text)) {
        const manifest = one.toJS() as (Manifest & { apiVersion?: string }) | null;
        if (manifest?.apiVersion?.startsWith('floe.dev/') !== true) continue;
        count += 1;
        expect(parsers[manifest.kind](manifest), document).toMatchObject({ ok: true });
        expect(unknownFields(manifest.spec, await schemaOf(manifest.kind), 'spec'), document).toEqual([]);
      }
    }
  }
  expect(count).toBeGreaterThan(2);
});

test('every manifest in the examples is one that the API takes', async () => {
  const folder = join(root, 'examples');
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.yaml'));
  const kinds = new Set<string>();
  for (const file of files) {
    for (const one of parseAllDocuments(await readFile(join(folder, file), 'utf8'))) {
      expect(one.errors, file).toEqual([]);
      const manifest = one.toJS() as Manifest & { apiVersion?: string };
      if (manifest.apiVersion?.startsWith('floe.dev/') !== true) continue;
      kinds.add(manifest.kind);
      expect(parsers[manifest.kind](manifest), file).toMatchObject({ ok: true });
      expect(unknownFields(manifest.spec, await schemaOf(manifest.kind), 'spec'), file).toEqual([]);
    }
  }
  expect([...kinds].toSorted()).toEqual(['NixConfig', 'NixMachine', 'Rollout']);
});

test('the values and the helm commands of the README work', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const folder = await mkdtemp(join(tmpdir(), 'floe-docs-'));
  try {
    const values = blocks(readme).find(({ text }) => text.startsWith('# values.yaml'));
    expect(values).toBeDefined();
    const file = join(folder, 'values.yaml');
    await writeFile(file, values?.text ?? '');
    const commands = readme.replaceAll('\\\n', ' ').match(/^helm (install|upgrade) .*$/gm) ?? [];
    expect(commands.length).toBe(3);
    for (const command of commands) {
      const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      const [, , , , ...rest] = words;
      const args = rest
        .filter((word) => word !== '--create-namespace')
        .map((word) => (word === 'values.yaml' ? file : word));
      expect(await helm('template', 'floe', chart, ...args)).toContain('kind: Deployment');
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('links between documents lead to files that are there', async () => {
  for (const document of await documents()) {
    // A pattern in a code span looks like a link.
    const text = (await readFile(join(root, document), 'utf8')).replaceAll(/`[^`\n]*`/g, '');
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      await expect(access(resolve(root, dirname(document), target)), `${document}: ${target}`).resolves.toBeUndefined();
    }
  }
});

test('annotations that the documents name are those that Floe reads', async () => {
  const { VERBS } = await import('@floe/crds/constants');
  for (const document of await documents()) {
    const text = await readFile(join(root, document), 'utf8');
    for (const [, verb = ''] of text.matchAll(/floe\.dev\/([a-z]+)(?==|`|: )/g)) {
      expect([...VERBS, 'by', 'config', 'join', 'revision'], `${document}: floe.dev/${verb}`).toContain(verb);
    }
  }
});
