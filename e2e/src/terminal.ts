// What demo and tests print: steps with a tick and their duration; on a terminal a step in hand shows its last word.
import type { OnProgress } from '../bed/progress.ts';

const tty = process.stdout.isTTY === true;
const paint = (code: number, text: string): string => (tty ? `\x1b[${code}m${text}\x1b[0m` : text);

export const green = (text: string): string => paint(32, text);
export const red = (text: string): string => paint(31, text);
export const dim = (text: string): string => paint(2, text);
export const bold = (text: string): string => paint(1, text);

/** `6 min 10 s`, `48 s`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Prints the steps of a set-up: when each begins (where it takes long), every 10 s while it runs, and when it ended. */
export function stepPrinter(): OnProgress {
  return ({ detail, seconds, state }) => {
    const text = detail.split('\n')[0]?.slice(0, 100) ?? '';
    if (state === 'done') {
      if (tty) process.stdout.write('\r\x1b[2K');
      console.log(`  ${green('✔')} ${text} ${dim(duration(seconds))}`);
    } else if (tty) {
      process.stdout.write(`\r\x1b[2K  ◌ ${text} ${dim(duration(seconds))}`);
    } else {
      console.log(`  ◌ ${text}${seconds < 1 ? '' : ` (${duration(seconds)} so far)`}`);
    }
  };
}
