// systemd-boot: which entry its configuration, its EFI variables and its counters make it start.
import { readdir, readFile } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { closureOfOptions, type LoaderSays, sayOf, textOf } from './boot-files.ts';

/** A file in loader/entries. */
export type Entry = {
  /** Name of the file without its counter: what the loader is configured with. */
  readonly id: string;
  /** Name of the file. */
  readonly file: string;
  /** Tries left, where it is counted. */
  readonly triesLeft?: number;
  readonly text: string;
};

/** What is set beside the entries: EFI variables first, each may name an entry by id or pattern. */
export type Choice = {
  readonly oneShot?: string | undefined;
  readonly efiPreferred?: string | undefined;
  readonly efiDefault?: string | undefined;
  readonly preferred?: string | undefined;
  readonly default?: string | undefined;
};

const VENDOR = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
/** Attributes of an EFI variable, before its value. */
const ATTRIBUTE_BYTES = 4;

/** `nixos-abc+2-1.conf` is the entry `nixos-abc.conf` with two tries left of three. */
export function entryOf(file: string, text: string): Entry {
  const [, plain, left] = /^(.*?)\+(\d+)(?:-\d+)?\.conf$/.exec(file) ?? [];
  if (plain === undefined) return { id: file, file, text };
  return { id: `${plain}.conf`, file, text, triesLeft: Number(left) };
}

const isBad = ({ triesLeft }: Entry): boolean => triesLeft === 0;

function field(entry: Entry, name: string): string {
  return new RegExp(`^${name}\\s+(.*?)\\s*$`, 'm').exec(entry.text)?.[1] ?? '';
}

function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function compareParts(one: string, other: string): number {
  const areNumbers = /^\d+$/.test(one) && /^\d+$/.test(other);
  return areNumbers ? Number(one) - Number(other) : compareTexts(one, other);
}

/** Compares as versions are: runs of digits by their value. */
export function compareVersions(one: string, other: string): number {
  const parts = (text: string) => text.match(/\d+|\D+/g) ?? [];
  const [left, right] = [parts(one), parts(other)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const order = compareParts(left[index] ?? '', right[index] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

/** Those with a sort-key come first, by that key and then the newest version; the others have none of either. */
function compareKeys(one: Entry, other: Entry): number {
  const [key, otherKey] = [field(one, 'sort-key'), field(other, 'sort-key')];
  if ((key === '') !== (otherKey === '')) return key === '' ? 1 : -1;
  if (key === '') return 0;
  return compareTexts(key, otherKey) || compareVersions(field(other, 'version'), field(one, 'version'));
}

/** The order of the loader's menu: those without tries last, then by sort-key, the newest version first. */
export function inMenuOrder(entries: readonly Entry[]): Entry[] {
  return [...entries].sort(
    (one, other) =>
      Number(isBad(one)) - Number(isBad(other)) || compareKeys(one, other) || compareVersions(other.id, one.id),
  );
}

/** The entry that the next boot starts; undefined where that can't be said. */
export function chooseEntry(entries: readonly Entry[], choice: Choice): Entry | undefined {
  const menu = inMenuOrder(entries);
  const named = (pattern: string | undefined, among: readonly Entry[]) =>
    pattern === undefined
      ? undefined
      : among.find(({ id }) => id === pattern || id === `${pattern}.conf` || matchesGlob(id, pattern));
  const good = menu.filter((entry) => !isBad(entry));
  const exact = named(choice.oneShot, menu) ?? named(choice.efiPreferred, good) ?? named(choice.preferred, good);
  if (exact !== undefined) return exact;
  // What was chosen last in the menu is kept in a place of its own, which changes with each boot.
  if ([choice.efiDefault, choice.default].includes('@saved')) return undefined;
  return named(choice.efiDefault, menu) ?? named(choice.default, menu);
}

async function efiVariable(efivars: string, name: string): Promise<string | undefined> {
  const content = await readFile(join(efivars, `${name}-${VENDOR}`)).catch(() => undefined);
  const value = content?.subarray(ATTRIBUTE_BYTES).toString('utf16le').replaceAll('\0', '').trim();
  return value === '' ? undefined : value;
}

/** Whether this boot is counted: it must be called good, or the loader takes another after so many tries. */
export async function isCountedBoot(efivars: string): Promise<boolean> {
  return (await efiVariable(efivars, 'LoaderBootCountPath')) !== undefined;
}

async function readEntries(boot: string): Promise<Entry[]> {
  const folder = join(boot, 'loader/entries');
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.conf'));
  return Promise.all(names.map(async (name) => entryOf(name, (await textOf(join(folder, name))) ?? '')));
}

/** What systemd-boot says; `places` are where the EFI partition and /boot may be mounted. */
export async function fromSystemdBoot(places: readonly string[], efivars: string): Promise<LoaderSays | undefined> {
  const files = places.map((place) => join(place, 'loader/loader.conf'));
  const configs = await Promise.all(files.map(async (file) => ({ file, text: await textOf(file) })));
  const { file, text: config } = configs.find(({ text }) => text !== undefined) ?? {};
  if (file === undefined || config === undefined) return undefined;
  const setting = (name: string) => new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(config)?.[1];
  const [oneShot, efiPreferred, efiDefault] = await Promise.all(
    ['LoaderEntryOneShot', 'LoaderEntryPreferred', 'LoaderEntryDefault'].map((name) => efiVariable(efivars, name)),
  );
  const entries = (await Promise.all(places.map(readEntries))).flat();
  const entry = chooseEntry(entries, {
    oneShot,
    efiPreferred,
    efiDefault,
    preferred: setting('preferred'),
    default: setting('default'),
  });
  const closure = closureOfOptions(entry?.text.match(/^options\s+.*$/gm)?.join('\n') ?? '');
  return sayOf(file, { loader: 'systemd-boot', verified: true }, closure);
}
