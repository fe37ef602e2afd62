// Follows a running `nix build`: what is being built, how much is done, and why what failed did.
import { errorSentence } from '../nix/error-words.ts';
import type { NixEvent } from '../nix/internal-log.ts';
import { plainName } from '../nix/store-path.ts';

/** Why one derivation failed. */
export type DerivationFailure = { readonly derivation: string; readonly message: string };

const LINES = 12;
const MAX_FAILURES = 1000;

/** The derivation that an error is about, and what is wrong with it; undefined when it is about none. */
export function derivationFailure(
  text: string,
  lastLines: (derivation: string) => readonly string[],
): DerivationFailure | undefined {
  const derivation = /'(\/nix\/store\/[^'/]{1,300}\.drv)(?:\^[^']{0,300})?'/.exec(text)?.[1];
  if (derivation === undefined || /dependenc(?:y|ies) of derivation|Reason: \d+ dependenc/.test(text)) return undefined;
  const name = plainName(derivation);
  const log = lastLines(derivation)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  const said = log.length === 0 ? '' : `; its last lines: ${log.join(' | ')}`;
  const failed = /failed with exit code (\d+)/.exec(text) ?? /failed due to signal (\d+[^;\n]*)/.exec(text);
  if (failed !== null) {
    return {
      derivation,
      message: `${name} failed to build (${failed[0].replace('failed ', '').replace('with ', '').replace('due to ', '')})${said}`,
    };
  }
  const hashes = /specified:\s{0,40}(\S{1,200})\s{1,40}got:\s{0,40}(\S{1,200})/.exec(text);
  if (hashes !== null) {
    return {
      derivation,
      message: `${name}: what was downloaded has the hash ${hashes[2]}, but its derivation says ${hashes[1]}; update the hash if the change is meant`,
    };
  }
  const wanted =
    /a '([^']{1,100})' with features \{([^}]{0,500})\} is required to build|[Rr]equired system: '([^']{1,100})'/.exec(
      text,
    );
  const here = /but I am a '([^']{1,100})'|[Cc]urrent system: '([^']{1,100})'/.exec(text);
  if (wanted !== null) {
    const features = wanted[2] ? ` with ${wanted[2]}` : '';
    return {
      derivation,
      message: `${name} needs a builder for ${wanted[1] ?? wanted[3]}${features}; this Job runs on ${here?.[1] ?? here?.[2] ?? 'another system'}`,
    };
  }
  const slow = /timed out after (\d+) seconds/.exec(text);
  if (slow !== null) return { derivation, message: `${name} was ended after ${slow[1]} s${said}` };
  return { derivation, message: `${name}: ${errorSentence(text)}${said}` };
}

/** The state of one `nix build`. */
export class BuildLog {
  readonly #derivationOf = new Map<number, string>();
  readonly #lines = new Map<string, string[]>();
  readonly #started = new Set<string>();
  readonly #failures = new Map<string, DerivationFailure>();
  readonly #general: string[] = [];
  #buildsId: number | undefined;
  #before = 0;
  #done = 0;
  #expected = 0;

  /** Takes an event and returns a line for people, if there is one. */
  add(event: NixEvent): string | undefined {
    switch (event.kind) {
      case 'build':
        this.#derivationOf.set(event.id, event.derivation);
        this.#started.add(event.derivation);
        return `building ${plainName(event.derivation)}`;
      case 'copy':
        return `fetching ${plainName(event.path)}`;
      case 'log':
        return this.#logLine(event.id, event.line);
      case 'builds':
        this.#buildsId = event.id;
        return undefined;
      case 'progress':
        if (event.id === this.#buildsId) {
          this.#done = event.done;
          this.#expected = event.expected;
        }
        return undefined;
      case 'message':
        if (event.level === 0) this.#error(event.text);
        return event.level <= 1 ? event.text : undefined;
      case 'stop':
        this.#derivationOf.delete(event.id);
        return undefined;
    }
  }

  /** A further `nix build` begins: ids and general errors start anew, derivations and failures are kept. */
  nextRun(): void {
    this.#derivationOf.clear();
    this.#general.length = 0;
    this.#before += this.#done;
    this.#done = 0;
    this.#expected = 0;
  }

  get progress(): { built: number; total: number } {
    return { built: this.#before + this.#done, total: this.#before + Math.max(this.#expected, this.#done) };
  }

  get failures(): readonly DerivationFailure[] {
    return [...this.#failures.values()];
  }

  /** Derivations that were built here. */
  get builtDerivations(): number {
    return [...this.#started].filter((derivation) => !this.#failures.has(derivation)).length;
  }

  /** The errors that are about no derivation, in plain words; undefined when there were none. */
  get generalError(): string | undefined {
    const last = this.#general.at(-1);
    return last === undefined ? undefined : errorSentence(last);
  }

  #logLine(id: number, line: string): string | undefined {
    const derivation = this.#derivationOf.get(id);
    if (derivation === undefined) return undefined;
    const lines = this.#lines.get(derivation) ?? [];
    lines.push(line.slice(0, 300));
    if (lines.length > LINES) lines.shift();
    this.#lines.set(derivation, lines);
    return `${plainName(derivation)}> ${line}`;
  }

  #error(text: string): void {
    const failure = derivationFailure(text, (derivation) => this.#lines.get(derivation)?.slice(-5) ?? []);
    if (failure === undefined) {
      if (
        !/dependenc(?:y|ies) of derivation|Reason: \d+ dependenc|build of (?:(?!build of)[^\n])* failed/.test(text) &&
        this.#general.length < 20
      )
        this.#general.push(text);
    } else if (!this.#failures.has(failure.derivation) && this.#failures.size < MAX_FAILURES) {
      this.#failures.set(failure.derivation, failure);
    }
  }
}
