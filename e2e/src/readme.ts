// README as a list of commands and files: what a test runs of it is what a reader types.

/** A command, or a file that the reader writes, in the order of the text. */
interface Part {
  readonly section: string;
  readonly text: string;
  /** Name of the file; undefined: it is a command. */
  readonly file?: string;
}

/** What happened to the commands and files of a README. */
export class Readme {
  readonly #parts: readonly Part[];
  readonly #taken = new Set<Part>();
  readonly #instead: string[] = [];

  /** `text`: the whole of the Markdown file. */
  constructor(text: string) {
    this.#parts = partsOf(text);
  }

  /** The next command that matches and was not taken before. Throws where there is none. */
  command(pattern: RegExp): string {
    const next = ({ file, text }: Part): boolean => file === undefined && pattern.test(text);
    return this.#take(next, `README has no command ${pattern} any more, or not once more`);
  }

  /** Every command of a section that was not taken before, in order. Throws where there is none. */
  rest(section: string): string[] {
    const left = this.#parts.filter((part) => part.section === section && !this.#taken.has(part));
    if (left.length === 0) throw new Error(`README has nothing left in section ${section}`);
    for (const part of left) this.#taken.add(part);
    return left.map(({ text }) => text);
  }

  /** The content of a file: of the block that begins with `# NAME`. Throws where there is none. */
  file(name: string): string {
    return this.#take((part) => part.file === name, `README has no block for the file ${name}`);
  }

  /** Names a command that can't be run here, and what is done in its place. Throws where it is not there. */
  instead(pattern: RegExp, what: string): void {
    this.#instead.push(`${this.command(pattern)}: ${what}`);
  }

  /** The same for all that is left of a section. */
  insteadOfRest(section: string, what: string): void {
    for (const text of this.rest(section)) this.#instead.push(`${text}: ${what}`);
  }

  /** Commands that were replaced, each with what was done in its place. */
  get replaced(): readonly string[] {
    return this.#instead;
  }

  /** Commands and files that were neither taken nor named as replaced. */
  get left(): readonly string[] {
    return this.#parts.filter((part) => !this.#taken.has(part)).map(({ section, text }) => `${section}: ${text}`);
  }

  #take(isWanted: (part: Part) => boolean, problem: string): string {
    const part = this.#parts.find((one) => !this.#taken.has(one) && isWanted(one));
    if (part === undefined) throw new Error(problem);
    this.#taken.add(part);
    return part.text;
  }
}

function partsOf(markdown: string): Part[] {
  const parts: Part[] = [];
  let section = '';
  let block: { readonly language: string; readonly lines: string[] } | undefined;
  for (const line of markdown.split('\n')) {
    if (block === undefined) {
      const heading = /^#{1,6} (.*)$/.exec(line)?.[1];
      if (heading !== undefined) section = heading;
      const language = /^```(\w*)$/.exec(line)?.[1];
      if (language !== undefined) block = { language, lines: [] };
    } else if (line === '```') {
      parts.push(...blockParts(section, block));
      block = undefined;
    } else block.lines.push(line);
  }
  if (block !== undefined) throw new Error(`README: a block in section ${section} has no end`);
  return parts;
}

/** Languages of blocks that show something and are not typed. */
const SHOWN: readonly string[] = ['console', 'text'];

function blockParts(section: string, { language, lines }: { language: string; lines: readonly string[] }): Part[] {
  if (SHOWN.includes(language)) return [];
  if (language === 'sh') return commandsOf(lines).map((text) => ({ section, text }));
  const file = /^# ([\w.-]+)$/.exec(lines[0] ?? '')?.[1];
  if (file === undefined)
    throw new Error(`README, ${section}: a block of ${language} begins with # and its file's name`);
  return [{ section, file, text: `${lines.join('\n')}\n` }];
}

/** A command that goes on, and the word that ends its here-document. */
type Open = { readonly text: string; readonly end: string | undefined };

/** Commands with their continued lines and here-documents; comments between them are left out. */
function commandsOf(lines: readonly string[]): string[] {
  const commands: string[] = [];
  let open: Open | undefined;
  for (const line of lines) {
    if (open === undefined && /^\s*(#|$)/.test(line)) continue;
    const whole: Open = open === undefined ? begun(line) : { ...open, text: `${open.text}\n${line}` };
    const isEnd = whole.end === undefined ? !line.endsWith('\\') : open !== undefined && line === whole.end;
    if (isEnd) commands.push(whole.text);
    open = isEnd ? undefined : whole;
  }
  if (open !== undefined) throw new Error(`README: a command has no end: ${open.text}`);
  return commands;
}

function begun(line: string): Open {
  return { text: line, end: /<<'?(\w+)'?/.exec(line)?.[1] };
}
