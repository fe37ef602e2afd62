// A logger for tests that do not look at logs.
import { type Logger, pino } from 'pino';

export function silentLog(): Logger {
  return pino({ level: 'silent' });
}
