// What the test bed tells while it works: one step at a time, with what it does and for how long.

export interface Progress {
  /** The step's short name, the same in each of its messages. */
  readonly step: string;
  /** What is being done, or the last thing it said; a sentence fragment for people. */
  readonly detail: string;
  /** Since the step began. */
  readonly seconds: number;
  readonly state: 'running' | 'done';
}

export type OnProgress = (progress: Progress) => void;

/** Says that a step begins, repeats its last word every 10 s, and says that it ended. */
export async function step<T>(
  onProgress: OnProgress | undefined,
  name: string,
  detail: string,
  work: (say: (detail: string) => void) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  let last = detail;
  const tell = (state: Progress['state']): void =>
    onProgress?.({ step: name, detail: last, seconds: (performance.now() - began) / 1000, state });
  tell('running');
  const timer = setInterval(() => tell('running'), 10_000);
  try {
    const result = await work((said) => {
      last = said;
    });
    last = detail;
    tell('done');
    return result;
  } finally {
    clearInterval(timer);
  }
}
