// Reads from the output of switch-to-configuration what it did and why it failed. Pure; keeps little of any output.

/** What a run of switch-to-configuration said of itself. */
export type SwitchWords = {
  /** Why it failed, in its own words; its last lines where none of them says so. */
  readonly said?: string;
  /** Units that it names as not started. */
  readonly units?: readonly string[];
  /** It said that it began to change the running system. */
  readonly began?: true;
};

/** Characters of `said`. */
const LONGEST = 400;
const LONGEST_LINE = 1_000;
const LAST_LINES = 3;
const MOST_LINES = 12;
const MOST_UNITS = 16;

// The words are those of nixpkgs, pkgs/by-name/sw/switch-to-configuration-ng/src/main.rs.
const BEGINS = ['stopping the following units', 'stopping swap device', 'activating the configuration'];
/** Lines that say what failed, and how many of the lines before belong to them. */
const REASONS: readonly (readonly [start: string, linesBefore: number])[] = [
  ['Pre-switch checks failed', 3],
  ['Failed to install bootloader', 3],
  ['Activation script snippet', 1],
  ['Failed to run activate script', 0],
  ['Failed to ', 0],
  ['Could not ', 0],
  ['Unable to list users', 0],
  ['This is not a NixOS installation', 0],
  ['warning: the following units failed', 0],
  ['warning: user activation for', 0],
];
/** Rust's own way to say an error; the causes follow. */
const ERROR = 'Error: ';
const UNIT = /^[^\s,]+\.(service|socket|target|mount|automount|swap|timer|path|slice|device|scope)$/;
const NOT_STARTED = /^Failed to (?:start|restart) ([^\s:]+)/;
const FAILED = /^warning: the following units failed:(.*)$/;

/** Units that a line names as not started. A failed reload names none: its unit runs, with the old settings. */
function unitsOf(line: string): string[] {
  const names = FAILED.exec(line)?.[1]?.split(/[\s,]+/) ?? [NOT_STARTED.exec(line)?.[1] ?? ''];
  return names.filter((name) => UNIT.test(name)).map((name) => name.slice(0, 256));
}

/** Takes the output piece by piece, as it comes. */
export class SwitchWordsReader {
  #rest = '';
  #began = false;
  /** Everything after an error belongs to it. */
  #erred = false;
  readonly #recent: string[] = [];
  readonly #reasons: string[] = [];
  readonly #units = new Set<string>();

  add(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
    for (const line of lines) this.#take(line.slice(0, LONGEST_LINE).trim());
  }

  end(): SwitchWords {
    this.#take(this.#rest.trim());
    this.#rest = '';
    const reasons = this.#reasons.join(' / ').slice(0, LONGEST);
    const said = reasons === '' ? this.#recent.join(' / ').slice(-LONGEST) : reasons;
    return {
      ...(said === '' ? {} : { said }),
      ...(this.#units.size === 0 ? {} : { units: [...this.#units] }),
      ...(this.#began ? { began: true } : {}),
    };
  }

  #take(line: string): void {
    if (line === '') return;
    if (BEGINS.some((start) => line.startsWith(start))) this.#began = true;
    for (const unit of unitsOf(line)) if (this.#units.size < MOST_UNITS) this.#units.add(unit);
    this.#erred ||= line.startsWith(ERROR);
    const reason = this.#erred ? 0 : REASONS.find(([start]) => line.startsWith(start))?.[1];
    if (reason !== undefined) {
      const before = reason === 0 ? [] : this.#recent.slice(-reason);
      for (const one of [...before.filter((text) => !this.#reasons.includes(text)), line])
        if (this.#reasons.length < MOST_LINES) this.#reasons.push(one);
    }
    this.#recent.push(line);
    if (this.#recent.length > LAST_LINES) this.#recent.shift();
  }
}

/** The words of a whole output. */
export function switchWords(output: string): SwitchWords {
  const reader = new SwitchWordsReader();
  reader.add(output);
  return reader.end();
}
