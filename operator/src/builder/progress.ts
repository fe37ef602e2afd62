// Tells the operator where a build is: JSON lines on standard output, at most one a second for mere numbers.
import type { BuildProgress } from '@floe/crds/build';

type Phase = BuildProgress['phase'];
type Numbers = { evaluated?: number; built?: number; total?: number };

/** Where lines go and what time it is. */
export type ProgressPorts = { readonly write: (line: string) => void; readonly now: () => number };

const MIN_INTERVAL_MS = 1000;

export class Progress {
  readonly #phase: Phase;
  readonly #ports: ProgressPorts;
  #numbers: Numbers = {};
  #lastAt = Number.NEGATIVE_INFINITY;
  #pending = false;

  constructor(phase: Phase, ports: ProgressPorts) {
    this.#phase = phase;
    this.#ports = ports;
  }

  /** Changes numbers. They are told now, or with the next change after a second. */
  set(numbers: Numbers): void {
    this.#numbers = { ...this.#numbers, ...numbers };
    if (this.#ports.now() - this.#lastAt < MIN_INTERVAL_MS) this.#pending = true;
    else this.#tell();
  }

  /** Says a sentence at once, with the present numbers. */
  say(message: string): void {
    this.#tell(message);
  }

  /** Tells numbers that were held back. */
  flush(): void {
    if (this.#pending) this.#tell();
  }

  /** A line for people, Nix' own words for instance. */
  line(text: string): void {
    // A line that looks like ours must not pass for it: a build prints what it likes.
    const bare = text.trimStart();
    this.#ports.write(bare.startsWith('{') ? `| ${text}` : text);
  }

  #tell(message?: string): void {
    this.#pending = false;
    this.#lastAt = this.#ports.now();
    const line: BuildProgress = {
      floe: 'progress',
      phase: this.#phase,
      ...this.#numbers,
      ...(message === undefined ? {} : { message: message.slice(0, 1024) }),
    };
    this.#ports.write(JSON.stringify(line));
  }
}
