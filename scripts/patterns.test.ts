// Every pattern of the programs on hostile text of growing length: what a server, a build or a machine writes must cost
// no more than its length, or one text would hold up everything else.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const FOLDERS = ['operator/src', 'agent/src', 'cli/src', 'crds/src'];

type Pattern = { readonly file: string; readonly source: string; readonly flags: string };

function sourceFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/(?:\.test|\.fixture|\.d)\.ts$/.test(name))
      .map((name) => join(folder, name)),
  );
}

/** What stands before a pattern, and never before a division. */
const BEFORE_PATTERN = /(?:^|[=(,[!&|?:{};>]|\b(?:return|typeof|case))\s*$/;
/** Comments, strings and patterns of JavaScript. */
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*/g;

/** The pattern literals of a file. */
function patternsOf(file: string): Pattern[] {
  const { code } = transformSync(readFileSync(join(root, file), 'utf8'), { loader: 'ts', legalComments: 'none' });
  const found: Pattern[] = [];
  for (const { 0: token, index } of code.matchAll(TOKEN)) {
    if (!token.startsWith('/') || /^\/[/*]/.test(token)) continue;
    if (!BEFORE_PATTERN.test(code.slice(Math.max(0, index - 20), index))) continue;
    const end = token.lastIndexOf('/');
    const pattern = { file, source: token.slice(1, end), flags: token.slice(end + 1) };
    try {
      compiled(pattern);
      found.push(pattern);
    } catch {
      // The text of a template that looks like a pattern.
    }
  }
  return found;
}

function compiled({ source, flags }: Pattern): RegExp {
  return new RegExp(source, flags.replace('y', ''));
}

/** A pattern without what the sampler of texts does not know: looks around, ends of words, flags. */
function sampled({ source }: Pattern): RegExp {
  const lookaround = /\(\?<?[=!](?:[^()\\[]|\\.|\[(?:[^\]\\]|\\.)*\]|\([^()]*\))*\)/g;
  return new RegExp(source.replaceAll(lookaround, '').replaceAll('\\b', ''));
}

/** Texts that match or begin to; each is repeated until it is long, so that a pattern begins at many places and fails. */
function seedsOf(pattern: Pattern): Set<string> {
  const seeds = new Set([' ', '\n', '\t', 'a', '0', '/', '\\', '"', "'"]);
  for (const text of fc.sample(fc.stringMatching(sampled(pattern)), { numRuns: 4, seed: 1 })) {
    for (let length = 1; length <= Math.min(text.length, 16); length++) seeds.add(text.slice(0, length));
    seeds.add(text.slice(0, 300));
  }
  seeds.delete('');
  return seeds;
}

/** Milliseconds of the processor for some runs, the least of several times: whatever else the host does only adds. */
function milliseconds(pattern: RegExp, text: string, { runs = 1, times = 1 } = {}): number {
  let least = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times; time++) {
    const before = process.threadCpuUsage().user;
    for (let run = 0; run < runs; run++) {
      if (pattern.global) text.replaceAll(pattern, '');
      else pattern.exec(text);
    }
    least = Math.min(least, (process.threadCpuUsage().user - before) / 1000);
  }
  return least;
}

/** Below it the clock of a thread tells little. */
const MEASURABLE_MS = 1;
const FACTOR = 8;
/** As often as the text is shorter: the same time where a pattern is linear, an eighth where it is quadratic. */
const LIMIT = 3;
const LENGTHS = [1 << 10, 8 << 10];

/** How often the time for a long text is the time for as much text in short ones. */
function growth(pattern: RegExp, text: (length: number) => string): number {
  for (const length of LENGTHS) {
    if (milliseconds(pattern, text(length)) < MEASURABLE_MS) continue;
    // A collection of garbage can make one comparison wrong, never all of them.
    const ratios = [1, 2, 3].map(() => {
      const short = milliseconds(pattern, text(length / FACTOR), { runs: FACTOR, times: 2 });
      return milliseconds(pattern, text(length), { times: 3 }) / Math.max(short, MEASURABLE_MS / FACTOR);
    });
    return Math.min(...ratios);
  }
  return 1;
}

/** The first text that takes more time than its length explains. */
function hostileText(pattern: Pattern): string | undefined {
  const regex = compiled(pattern);
  for (const seed of seedsOf(pattern)) {
    const last = seed.slice(-1);
    const texts = [
      (length: number) => `${seed.repeat(Math.ceil(length / seed.length)).slice(0, length)}\0`,
      (length: number) => `${seed.repeat(Math.ceil(length / seed.length)).slice(0, length)}\n`,
      (length: number) => `${seed}${last.repeat(length)}\0`,
    ];
    if (texts.some((text) => growth(regex, text) > LIMIT)) return `${JSON.stringify(seed)} again and again`;
  }
  return undefined;
}

test('the measure tells a quadratic pattern from a linear one', () => {
  expect(hostileText({ file: '', source: '\\u001b\\][^\\u0007]*\\u0007', flags: 'g' })).toBeDefined();
  expect(hostileText({ file: '', source: '\\s+$', flags: '' })).toBeDefined();
  expect(hostileText({ file: '', source: '(?<!\\s)\\s+$', flags: '' })).toBeUndefined();
});

test('no pattern takes more time than the length of a text explains', () => {
  const patterns = sourceFiles().flatMap(patternsOf);
  expect(patterns.length).toBeGreaterThan(250);
  const steep = patterns.flatMap((pattern) => {
    const text = hostileText(pattern);
    return text === undefined ? [] : [`${pattern.file}: /${pattern.source}/ on ${text}`];
  });
  expect(steep).toEqual([]);
}, 300_000);
