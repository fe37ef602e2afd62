// Runs the image's Nix against the volume's store, with settings of ours and nobody else's.
import { mkdir } from 'node:fs/promises';
import { errorSentence } from '../nix/error-words.ts';
import { type NixEvent, parseNixEvent } from '../nix/internal-log.ts';
import { type Command, type Ended, ProgramError, type RunProgram, runProgram } from '../nix/process.ts';
import { BuildFailure } from './failure.ts';
import type { Scratch } from './scratch.ts';

/** One setting of nix.conf. */
export type NixSettings = Readonly<Record<string, string>>;

export type NixCall = {
  /** Default `nix`. */
  readonly program?: 'nix' | 'nix-store';
  readonly args: readonly string[];
  /** What is being done, for errors: "evaluating". */
  readonly doing: string;
  readonly timeoutSeconds: number;
  readonly input?: string;
  readonly settings?: NixSettings;
  /** Bytes of memory that it may take; no limit where nothing is said. */
  readonly memoryBytes?: number;
  /** Sees Nix' events as they come; then the call logs in machine-readable form. */
  readonly onEvent?: (event: NixEvent) => void;
};

/** Nix with its surroundings fixed. */
export interface Nix {
  /** Runs a command to its end; an exit code other than 0 is a result. @throws BuildFailure at the time limit */
  run(call: NixCall, options: { signal: AbortSignal }): Promise<Ended>;
  /** As `run`, and standard output; @throws BuildFailure with Nix' own words when the exit code is not 0 */
  output(call: NixCall, options: { signal: AbortSignal }): Promise<string>;
}

/** Variables of the container that Nix may see: how to reach the network, and nothing that names a secret. */
const PASSED =
  /^(PATH|LANG|LC_ALL|TZ|NIX_SSL_CERT_FILE|SSL_CERT_FILE|SSL_CERT_DIR|https?_proxy|HTTPS?_PROXY|all_proxy|ALL_PROXY|no_proxy|NO_PROXY)$/;

const BASE: NixSettings = {
  'experimental-features': 'nix-command flakes',
  'build-users-group': '',
  'accept-flake-config': 'false',
  // An address that a person on another machine would read differently is refused, not looked up.
  'flake-registry': '',
  'eval-cache': 'false',
  'warn-dirty': 'false',
  'connect-timeout': '20',
  'stalled-download-timeout': '120',
  'log-lines': '15',
  'use-xdg-base-directories': 'true',
  'auto-optimise-store': 'false',
  'require-sigs': 'true',
};

export type NixOptions = {
  readonly scratch: Scratch;
  readonly settings: NixSettings;
  /** Environment of the container. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Further variables for Nix and what it starts. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Folder for builds, on the volume, where the room is. */
  readonly buildFolder: string;
  readonly run?: RunProgram;
};

/** The whole environment of a Nix command. */
export function nixEnvironment(from: {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly variables: Readonly<Record<string, string>>;
  readonly buildFolder: string;
  readonly settings: NixSettings;
}): Record<string, string> {
  const { home } = from;
  const passed = Object.entries(from.env).flatMap(([name, value]) =>
    PASSED.test(name) && value !== undefined ? [[name, value] as const] : [],
  );
  return {
    ...Object.fromEntries(passed),
    HOME: home,
    XDG_CACHE_HOME: `${home}/.cache`,
    XDG_CONFIG_HOME: `${home}/.config`,
    XDG_DATA_HOME: `${home}/.local/share`,
    XDG_STATE_HOME: `${home}/.local/state`,
    // The volume may hold a socket; whoever listens there is not asked.
    NIX_REMOTE: 'local',
    NIX_USER_CONF_FILES: '',
    TMPDIR: from.buildFolder,
    ...from.variables,
    NIX_CONFIG: Object.entries({ ...BASE, ...from.settings })
      .map(([name, value]) => `${name} = ${value.replaceAll('\n', ' ')}`)
      .join('\n'),
  };
}

/** The program that a call runs. */
function commandOf(call: NixCall, env: Readonly<Record<string, string>>): Command {
  const { program = 'nix', args, input, timeoutSeconds, memoryBytes, onEvent } = call;
  return {
    program,
    args: [...args, ...(onEvent === undefined ? [] : ['--log-format', 'internal-json', '-v'])],
    env,
    timeoutSeconds,
    ...(input === undefined ? {} : { input }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/** Makes the empty volume a store and returns Nix over it. */
export async function openNix(options: NixOptions): Promise<Nix> {
  const run = options.run ?? runProgram;
  // Without these Nix takes the volume for no store and makes one in HOME.
  await mkdir('/nix/store', { recursive: true });
  await mkdir('/nix/var/nix', { recursive: true });
  await mkdir(options.buildFolder, { recursive: true });
  const environment = (extra: NixSettings): Record<string, string> =>
    nixEnvironment({
      home: options.scratch.home,
      env: options.env,
      variables: options.variables ?? {},
      buildFolder: options.buildFolder,
      settings: { ...options.settings, ...extra },
    });

  const nix: Nix = {
    async run(call, { signal }) {
      const events = call.onEvent;
      const onErrorLine = (line: string): void => {
        const event = parseNixEvent(line);
        if (event !== undefined) events?.(event);
      };
      try {
        const ended = await run(
          { ...commandOf(call, environment(call.settings ?? {})), ...(events === undefined ? {} : { onErrorLine }) },
          { signal },
        );
        if (!ended.timedOut) return ended;
      } catch (cause) {
        if (!(cause instanceof ProgramError)) throw cause;
        throw new BuildFailure(`${call.doing}: ${cause.message}`, { remedy: 'see the log of the Job', cause });
      }
      throw new BuildFailure(
        `${call.doing} took longer than ${Math.round(call.timeoutSeconds / 60)} min and was ended`,
        {
          remedy: 'see the log of the Job for what it waited for',
        },
      );
    },
    async output(call, { signal }) {
      const ended = await nix.run(call, { signal });
      if (ended.code === 0) return ended.stdout;
      throw new BuildFailure(`${call.doing} failed: ${failureText(ended)}`, { remedy: 'see the log of the Job' });
    },
  };
  return nix;
}

/** Nix' errors of a call, whichever way it logged. */
export function errorText(ended: Ended): string {
  const messages = ended.stderr
    .split('\n')
    .map(parseNixEvent)
    .filter((event) => event?.kind === 'message' && event.level === 0)
    .map((event) => (event?.kind === 'message' ? event.text : ''));
  return messages.length > 0 ? messages.join('\n') : ended.stderr;
}

/** Why a call failed, in plain words. */
export function failureText(ended: Ended): string {
  if (ended.endedBy === 'SIGKILL') return 'it was killed, probably for want of memory';
  return errorSentence(errorText(ended));
}
