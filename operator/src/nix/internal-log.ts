// Reads Nix' machine-readable log (`--log-format internal-json`): one event a line, behind `@nix `.
import { parseJson } from '@floe/crds/json';

/** What Floe reads of it. Numbers of activities and results are those of Nix' own header `logging.hh`. */
export type NixEvent =
  /** Nix says something; level 0 is an error. */
  | { readonly kind: 'message'; readonly level: number; readonly text: string }
  /** A derivation starts to be built. */
  | { readonly kind: 'build'; readonly id: number; readonly derivation: string }
  /** A path starts to be copied from a cache. */
  | { readonly kind: 'copy'; readonly id: number; readonly path: string }
  | { readonly kind: 'stop'; readonly id: number }
  /** A line of a build's log. */
  | { readonly kind: 'log'; readonly id: number; readonly line: string }
  | {
      readonly kind: 'progress';
      readonly id: number;
      readonly done: number;
      readonly expected: number;
      readonly failed: number;
    }
  /** The activity under which all builds are counted. */
  | { readonly kind: 'builds'; readonly id: number };

const ACTIVITY_COPY_PATH = 100;
const ACTIVITY_BUILDS = 104;
const ACTIVITY_BUILD = 105;
const RESULT_BUILD_LOG_LINE = 101;
const RESULT_PROGRESS = 105;

/** Characters that are read of what a program says: the reason stands at its end, and a server may say as much as it likes. */
const MAX_SAID = 16 << 10;

/** The end of what a program said: 16 Ki characters, without colours. All that explains such a text takes it from here. */
export function lastWords(text: string): string {
  return withoutColours(text.slice(-MAX_SAID));
}

/** Removes colours and other terminal controls. */
function withoutColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
  return text.replace(/\u001b\[[0-9;?]{0,40}[A-Za-z]|\u001b\][^\u0007\u001b\n]{0,500}(?:\u0007|\u001b\\)|\r/g, '');
}

type Raw = Readonly<Record<string, unknown>>;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

function started(raw: Raw, fields: readonly unknown[]): NixEvent | undefined {
  const id = number(raw['id']);
  if (raw['type'] === ACTIVITY_BUILD) return { kind: 'build', id, derivation: text(fields[0]) };
  if (raw['type'] === ACTIVITY_COPY_PATH) return { kind: 'copy', id, path: text(fields[0]) };
  if (raw['type'] === ACTIVITY_BUILDS) return { kind: 'builds', id };
  return undefined;
}

function result(raw: Raw, fields: readonly unknown[]): NixEvent | undefined {
  const id = number(raw['id']);
  if (raw['type'] === RESULT_BUILD_LOG_LINE) return { kind: 'log', id, line: withoutColours(text(fields[0])) };
  if (raw['type'] !== RESULT_PROGRESS) return undefined;
  return { kind: 'progress', id, done: number(fields[0]), expected: number(fields[1]), failed: number(fields[3]) };
}

/** One line of the log as an event; undefined when it is none, or none that counts here. */
export function parseNixEvent(line: string): NixEvent | undefined {
  if (!line.startsWith('@nix ')) return undefined;
  const raw = parseJson(line.slice(5));
  if (typeof raw !== 'object' || raw === null) return undefined;
  const event = raw as Raw;
  const fields = Array.isArray(event['fields']) ? (event['fields'] as readonly unknown[]) : [];
  switch (event['action']) {
    case 'msg':
      return { kind: 'message', level: number(event['level']), text: withoutColours(text(event['msg'])) };
    case 'start':
      return started(event, fields);
    case 'stop':
      return { kind: 'stop', id: number(event['id']) };
    case 'result':
      return result(event, fields);
    default:
      return undefined;
  }
}
