// Waits for what the bench's Rollout says, the moment it says it.
import type { Rollout } from '@floe/crds/rollout';
import type { KubeClient } from '@floe/operator/kube/client';
import { rollouts } from '@floe/operator/kube/resource';
import { NAME, NAMESPACE } from './objects.ts';

/** One line of where it stands, for progress and errors. */
export function describeRollout(rollout: Rollout | undefined): string {
  const { phase, revision, counts, conditions } = rollout?.status ?? {};
  const ready = conditions?.find(({ type }) => type === 'Ready')?.message;
  return `${phase ?? 'no phase'}, revision ${revision ?? '-'}, ${counts?.updated ?? 0} of ${counts?.total ?? 0} updated, ${counts?.offline ?? 0} offline${ready === undefined ? '' : `: ${ready}`}`;
}

export type WaitOptions = {
  readonly done: (rollout: Rollout) => boolean;
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onChange?: (rollout: Rollout) => void;
};

/** Watches until `done`. Throws when the Rollout failed, or with its last word when the time is up. */
export async function waitForRollout(client: KubeClient, options: WaitOptions): Promise<Rollout> {
  const over = new AbortController();
  const limit = AbortSignal.timeout(options.seconds * 1000);
  const signal = AbortSignal.any([options.signal, limit, over.signal]);
  let last: Rollout | undefined;
  const isDone = (rollout: Rollout): boolean => {
    last = rollout;
    options.onChange?.(rollout);
    if (rollout.status?.phase === 'Failed') throw new Error(`the Rollout failed: ${describeRollout(rollout)}`);
    return options.done(rollout);
  };
  try {
    for (;;) {
      const rollout = await client.get(rollouts, { namespace: NAMESPACE, name: NAME }, { signal });
      if (isDone(rollout)) return rollout;
      const resourceVersion = rollout.metadata.resourceVersion ?? '';
      for await (const event of client.watch(rollouts, { namespace: NAMESPACE, resourceVersion, signal })) {
        if (event.type === 'MODIFIED' && isDone(event.object)) return event.object;
      }
    }
  } catch (error) {
    if (!limit.aborted) throw error;
    throw new Error(`waited ${options.seconds} s for the Rollout: ${describeRollout(last)}`, { cause: error });
  } finally {
    over.abort();
  }
}
