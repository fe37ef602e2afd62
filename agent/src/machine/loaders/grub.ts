// GRUB: which entry of its menu the next boot starts, by grub.cfg and the environment block.
import { join } from 'node:path';
import { closureOfOptions, type LoaderSays, sayOf, textOf } from './boot-files.ts';

/** An entry or a folder of the menu. */
export type Item = {
  readonly title: string;
  readonly id?: string;
  /** Text between its braces. */
  readonly body: string;
  /** For a folder. */
  readonly items?: readonly Item[];
};

const HEAD = /^[ \t]*(menuentry|submenu)[ \t]+(?:"([^"\n]*)"|'([^'\n]*)'|([^\s{]+)(?=[\s{]))([^\n]*)\{[ \t]*$/gm;

/** Reads the menu. Braces inside entries stand at the ends of lines, as GRUB's own tools and NixOS write them. */
export function parseMenu(text: string): Item[] {
  const items: Item[] = [];
  const head = new RegExp(HEAD);
  for (let match = head.exec(text); match !== null; match = head.exec(text)) {
    const [, kind, quoted, single, bare, rest = ''] = match;
    const end = endOfBlock(text, head.lastIndex);
    const body = text.slice(head.lastIndex, end);
    const id = /(?:--id[= ]|\$menuentry_id_option )["']?([^\s"']+)/.exec(rest)?.[1];
    items.push({
      title: quoted ?? single ?? bare ?? '',
      body,
      ...(id === undefined ? {} : { id }),
      ...(kind === 'submenu' ? { items: parseMenu(body) } : {}),
    });
    head.lastIndex = end;
  }
  return items;
}

function endOfBlock(text: string, start: number): number {
  const line = /^.*$/gm;
  line.lastIndex = start;
  for (let depth = 1, match = line.exec(text); match !== null; match = line.exec(text)) {
    if (/\{[ \t]*$/.test(match[0])) depth++;
    else if (/^[ \t]*\}/.test(match[0])) depth--;
    if (depth === 0) return match.index;
    if (match[0] === '') line.lastIndex++;
  }
  return text.length;
}

/** The entry that `default` names: a number, a title, an id, or a path of these with `>` between. */
export function findItem(items: readonly Item[], name: string): Item | undefined {
  const [first = '', ...rest] = name.split('>');
  const item = /^\d+$/.test(first)
    ? items[Number(first)]
    : items.find(({ title, id }) => title === first || id === first);
  if (item?.items === undefined) return rest.length === 0 ? item : undefined;
  return findItem(item.items, rest.length === 0 ? '0' : rest.join('>'));
}

/** Variables of the environment block. */
export function parseEnvironment(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => !line.startsWith('#') && line.includes('='));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** The name of the entry that `grub.cfg` starts, with what the environment block says. */
function defaultOf(config: string, environment: ReadonlyMap<string, string>): string | undefined {
  const next = environment.get('next_entry');
  if (next !== undefined && next !== '' && config.includes('next_entry')) return next;
  const settings = [...config.matchAll(/^[ \t]*set default=(?:"([^"\n]*)"|(\S+))[ \t]*$/gm)]
    .map(([, quoted, bare]) => quoted ?? bare ?? '')
    .filter((value) => !value.includes('next_entry'));
  const last = settings.at(-1);
  if (last === undefined) return undefined;
  if (!last.includes('$')) return last;
  if (/^\$\{?saved_entry\}?$/.test(last)) return environment.get('saved_entry') || '0';
  return undefined;
}

/** What GRUB says. */
export async function fromGrub(boot: string): Promise<LoaderSays | undefined> {
  const file = join(boot, 'grub/grub.cfg');
  const config = await textOf(file);
  if (config === undefined) return undefined;
  const environment = parseEnvironment((await textOf(join(boot, 'grub/grubenv'))) ?? '');
  const name = defaultOf(config, environment);
  const item = name === undefined ? undefined : findItem(parseMenu(config), name);
  const closure = closureOfOptions(item?.body.match(/^[ \t]*(?:linux\S*|module\S*)\s.*$/gm)?.join('\n') ?? '');
  return sayOf(file, { loader: 'grub', verified: true }, closure);
}
