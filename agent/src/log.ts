// Log lines of the agent: one line each on standard error, which the journal of systemd keeps with time and unit.

export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Priorities as systemd reads them at the start of a line. */
const PRIORITIES = { info: 6, warn: 4, error: 3 } as const;

/** Writes lines; with `prefixed`, each begins with the priority for systemd's journal. */
export function lineLog(write: (line: string) => void, prefixed: boolean): Log {
  const line = (level: keyof typeof PRIORITIES) => (message: string) =>
    write(`${prefixed ? `<${PRIORITIES[level]}>` : ''}${message.replaceAll('\n', ' ')}\n`);
  return { info: line('info'), warn: line('warn'), error: line('error') };
}
