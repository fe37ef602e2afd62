// Follows the logs of build pods and keeps the newest progress of each Job.
import type { BuildProgress } from '@floe/crds/build';
import { parseJson } from '@floe/crds/json';
import { parseBuildProgress } from '@floe/crds/parse';
import type { Logger } from 'pino';
import type { Job, Pod } from '../kube/builtin.ts';
import type { KubeClient } from '../kube/client.ts';
import { keyOf } from '../kube/object.ts';
import { runningContainer } from './job-state.ts';

export type ProgressWatchOptions = {
  readonly client: Pick<KubeClient, 'logs'>;
  /** Called at most once a second for each Job, when its progress changed; with what `follow` was given as `owner`. */
  readonly onProgress: (owner: string) => void;
  readonly signal: AbortSignal;
  readonly log: Logger;
};

/** Milliseconds between two calls of `onProgress` for one Job. */
const TELL_EVERY_MS = 1000;
/** A log line that is longer can't be progress. */
const MAX_LINE = 8192;

type Followed = {
  readonly owner: string;
  readonly stop: AbortController;
  container: string | undefined;
  progress: BuildProgress | undefined;
  timer: NodeJS.Timeout | undefined;
};

/** One log at a time for each Job, of the container that works. */
export class ProgressWatch {
  readonly #options: ProgressWatchOptions;
  readonly #jobs = new Map<string, Followed>();

  constructor(options: ProgressWatchOptions) {
    this.#options = options;
  }

  /** Newest progress by name of the Job, of the Jobs of one config. */
  progressOf(owner: string): ReadonlyMap<string, BuildProgress> {
    const found = new Map<string, BuildProgress>();
    for (const [key, followed] of this.#jobs) {
      const name = key.slice(key.indexOf('/') + 1, key.lastIndexOf('/'));
      if (followed.owner === owner && followed.progress !== undefined) found.set(name, followed.progress);
    }
    return found;
  }

  /** Follows exactly these Jobs of a config, each with its pod; logs of other Jobs of it are let go. */
  follow(owner: string, jobs: readonly { readonly job: Job; readonly pod: Pod }[]): void {
    const wanted = new Map(jobs.map((item) => [followKey(item.job), item]));
    for (const [key, followed] of this.#jobs)
      if (followed.owner === owner && !wanted.has(key)) this.#drop(key, followed);
    for (const [key, { pod }] of wanted) {
      const followed = this.#jobs.get(key) ?? this.#add(key, owner);
      const container = runningContainer(pod);
      if (container === undefined || container === followed.container) continue;
      followed.container = container;
      void this.#read(followed, { pod, container });
    }
  }

  /** Lets go of everything of a config. */
  forget(owner: string): void {
    this.follow(owner, []);
  }

  #add(key: string, owner: string): Followed {
    const followed = {
      owner,
      stop: new AbortController(),
      container: undefined,
      progress: undefined,
      timer: undefined,
    };
    this.#jobs.set(key, followed);
    return followed;
  }

  #drop(key: string, followed: Followed): void {
    this.#jobs.delete(key);
    clearTimeout(followed.timer);
    followed.stop.abort();
  }

  async #read(followed: Followed, { pod, container }: { pod: Pod; container: string }): Promise<void> {
    const { client, log, signal } = this.#options;
    const both = AbortSignal.any([signal, followed.stop.signal]);
    try {
      for await (const line of client.logs(pod.metadata, { container, follow: true, signal: both })) {
        const progress = progressIn(line);
        if (progress !== undefined) this.#tell(followed, progress);
      }
    } catch (error) {
      // The log is a comfort: the result comes another way. The next change of the pod tries again.
      if (!both.aborted)
        log.debug({ err: error, pod: keyOf(pod), container }, 'the log of a build could not be followed');
      if (followed.container === container) followed.container = undefined;
    }
  }

  #tell(followed: Followed, progress: BuildProgress): void {
    followed.progress = progress;
    followed.timer ??= setTimeout(() => {
      followed.timer = undefined;
      this.#options.onProgress(followed.owner);
    }, TELL_EVERY_MS).unref();
  }
}

function followKey({ metadata }: Job): string {
  return `${metadata.namespace}/${metadata.name}/${metadata.uid}`;
}

/** The progress that a log line tells; undefined for Nix's own words. */
export function progressIn(line: string): BuildProgress | undefined {
  if (line.length > MAX_LINE || !line.startsWith('{')) return undefined;
  const parsed = parseBuildProgress(parseJson(line));
  return parsed.ok ? parsed.value : undefined;
}
