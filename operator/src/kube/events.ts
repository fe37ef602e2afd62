// Tells people what happened to an object, as Events that `kubectl describe` shows; never a reason to fail or to wait.
import type { Logger } from 'pino';
import type { KubeClient } from './client.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './object.ts';

/** What happened. */
export interface Happening {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase word that names the kind of thing that happened. */
  readonly reason: string;
  /** A sentence for people; cut at 1,024 bytes. */
  readonly message: string;
  /** CamelCase word for what Floe did or tried; default the reason. */
  readonly action?: string;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'mergePatch'>;
  /** Name of the process that reports, the pod's name for instance. */
  readonly instance: string;
  readonly log: Logger;
  readonly metrics?: KubeMetrics | undefined;
}

/** Takes what happened and sends it in the background. */
export class EventRecorder {
  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }
  readonly #options: EventRecorderOptions;

  /** Notes what happened to an object. Returns at once and never throws. */
  event(_regarding: KubeObject, _happening: Happening): void {}

  /** Sends until `signal` is aborted; resolves then, and never rejects. */
  async run(_signal: AbortSignal): Promise<void> {}
}
