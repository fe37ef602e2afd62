// What the cache answers: a status, and for errors one sentence that Nix shows to the person whose build failed.

/** A refusal or a plain success; successes that carry a file are written by the reading side itself. */
export type Answer = {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
};

export const ok = (message: string): Answer => ({ status: 200, message });

export const refuse = (status: number, message: string, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  message,
  headers,
});

/** The client may come back: Nix retries these by itself, with growing pauses. */
export const busy = (message: string): Answer => refuse(503, message, { 'retry-after': '5' });

/** Turns an error of the file system into an answer; a full disk is not our fault and has a remedy. */
export function diskAnswer(error: unknown): Answer {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return refuse(507, 'the cache is full: its disk has no room left; give the cache a larger volume');
  }
  return refuse(500, `the cache could not store the file (${code}); see the log of floe cache`);
}
