// Nix' error text in plain words: what is wrong, where, and what was probably meant; the trace stays in the log.
import { lastWords } from './internal-log.ts';

/** An error in words. */
export type ErrorWords = {
  /** One sentence or a few lines, without paths of the store. */
  readonly message: string;
  /** File and line, relative to the flake: `machines/db.nix:12`. */
  readonly file: string | undefined;
  /** What Nix thinks was meant. */
  readonly suggestion: string | undefined;
};

const MAX_MESSAGE = 1500;

/** `/nix/store/<hash>-source/machines/db.nix` -> `machines/db.nix`; `/nix/store/<hash>-nginx/x` -> `nginx/x`. */
export function withoutStore(text: string): string {
  return text
    .replace(/«[^«»]{0,500}»\//g, '')
    .replace(/\/nix\/store\/[0-9a-z]{32}-source\//g, '')
    .replace(/\/nix\/store\/[0-9a-z]{32}-source\b/g, 'the source')
    .replace(/\/nix\/store\/[0-9a-z]{32}-([0-9A-Za-z+\-._?=]{1,211}?)(?:\.drv)?(?=[\s'":/,;)^]|$)/g, '$1');
}

/** Texts without the passwords and tokens that stand in addresses. The user of an ssh address is no secret. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/((?:^|[^a-z])(?:[a-z]+\+)?https?:\/\/)[^\s/@'"]+@/gi, '$1')
    .replace(/([a-z0-9+.-]:\/\/[^\s/@:'"]*):[^\s/@'"]+@/gi, '$1@');
}

/** The lines of the last error, bare; its message may begin on the line below `error:`. */
function lastError(lines: readonly string[]): { start: number; block: string[] } | undefined {
  const start = lines.findLastIndex((line) => /^\s*error:/.test(line));
  const first = lines[start];
  if (first === undefined) return undefined;
  const block = [first.replace(/^\s*error:\s*/, '')];
  for (const line of lines.slice(start + 1)) {
    const bare = line.trim();
    if (/^(…|at (\/|«|")|\d+\||note:|For full logs|\(use '--show-trace'|warning:)/.test(bare)) break;
    block.push(bare);
  }
  return { start, block };
}

/** The place nearest to the error: under it for a parse error, in the trace above it for most others. */
function placeOf(lines: readonly string[], start: number): string | undefined {
  const place = (line: string): string | undefined => /^\s*at (\S+?:\d+):\d+:?\s*$/.exec(line)?.[1];
  const own = lines.slice(start).map(place).find(Boolean);
  const found =
    own ??
    lines
      .slice(0, start)
      .map(place)
      .findLast((at) => at !== undefined && !/<nix\/|\/lib\//.test(at));
  return found === undefined ? undefined : withoutStore(found.replace(/^"|"$/g, ''));
}

function tidy(block: readonly string[]): string {
  const text = block
    .join('\n')
    .replace(/\n{2,}/g, '\n')
    .trim();
  return withoutSecrets(withoutStore(text))
    .replace(/`([^`'\n]+)'/g, '$1')
    .slice(0, MAX_MESSAGE);
}

/** `file`: an empty one means that the message names its files itself. */
type Shape = { message: string; file?: string | undefined };

/** The errors of NixOS' module system, which name their file in the text. */
function moduleError(message: string): Shape | undefined {
  const unknown = /^The option (\S+) does not exist\. Definition values:\s*(?:- In (\S+?):)?/.exec(message);
  if (unknown !== null) return { message: `the option ${unknown[1]} does not exist`, file: unknown[2] };
  const type =
    /^A definition for option (\S+) is not of type (.+?)\. Definition values:\s*(?:- In (\S+?):\s*(.*))?/.exec(message);
  if (type !== null) {
    return {
      message: `the option ${type[1]} is not of type ${type[2]}${type[4] ? ` but ${type[4]}` : ''}`,
      file: type[3],
    };
  }
  const undefinedOption = /^The option (\S+) (?:was accessed but has no value defined|is used but not defined)/.exec(
    message,
  );
  if (undefinedOption !== null) return { message: `the option ${undefinedOption[1]} is used but has no value` };
  const conflict = /^The option (\S+) has conflicting definition values:([\s\S]*?)(?:Use lib\.mkForce|$)/.exec(message);
  if (conflict !== null) {
    const values = (conflict[2] ?? '')
      .trim()
      .split('\n')
      .map((line) => line.replace(/^- In /, ''));
    return {
      message: `the option ${conflict[1]} has conflicting definitions: ${values.join('; ')}; use lib.mkForce or lib.mkDefault on one of them`,
      file: '',
    };
  }
  const assertions = /^\s*Failed assertions:\s*([\s\S]*)/.exec(message);
  if (assertions !== null)
    return { message: `failed assertions: ${(assertions[1] ?? '').replace(/^- /, '').replace(/\n- /g, '; ')}` };
  return undefined;
}

/** Reads what Nix (or git under it) wrote to standard error. Always has words, also for an empty text. */
export function errorWords(stderr: string): ErrorWords {
  const lines = lastWords(stderr).trimEnd().split('\n');
  const found = lastError(lines);
  if (found === undefined) {
    const last = lines.findLast((line) => line.trim() !== '' && !line.startsWith('@nix'));
    return { message: tidy([last ?? 'Nix failed and said nothing']), file: undefined, suggestion: undefined };
  }
  const whole = tidy(found.block);
  // Nix puts its guess below the code that it quotes, the module system into the message.
  const suggestion = /did you mean ((?:(?!did you mean)[^?])+)\?/i
    .exec(tidy(lines.slice(found.start)))?.[1]
    ?.replace(/\s+/g, ' ');
  const message = whole.replace(/\s?did you mean (?:(?!did you mean)[^?])+\?/i, '').trim();
  const shape: Shape = moduleError(message) ?? {
    message: message.replace(/^evaluation aborted with the following error message: '([\s\S]*)'$/, '$1'),
  };
  return {
    message: shape.message,
    file: shape.file === '' ? undefined : (shape.file ?? placeOf(lines, found.start)),
    suggestion,
  };
}

/** The words as one text for a status: `the option services.nginx.enabel does not exist, did you mean …? (web.nix)`. */
export function errorSentence(stderr: string): string {
  const { message, file, suggestion } = errorWords(stderr);
  const meant = suggestion === undefined ? '' : `, did you mean ${suggestion}?`;
  return `${message}${meant}${file === undefined ? '' : ` (${file})`}`.slice(0, 2000);
}
