// Composes the courier; it runs on the leader alone.
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { secretReader } from '../hub/secret-reader.ts';
import type { RunningHub } from '../hub/start-hub.ts';
import type { KubeClient } from '../kube/client.ts';
import type { EventRecorder } from '../kube/events.ts';
import { Courier, type CourierOptions } from './courier.ts';
import { createSshMetrics, type SshMetrics } from './ssh-metrics.ts';

export type CourierControllerOptions = {
  readonly client: Pick<KubeClient, 'get'>;
  /** Must have synced. */
  readonly stores: { readonly nixMachines: CourierOptions['machines']; readonly nixConfigs: CourierOptions['configs'] };
  readonly hub: Pick<RunningHub, 'submit' | 'readMachine'>;
  readonly replica: string;
  readonly events: EventRecorder;
  readonly registry: Registry;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** Visits machines without an agent until `signal` is aborted; to be called on the leader only. */
export async function startCourier(options: CourierControllerOptions): Promise<void> {
  const { client, stores, hub, events, replica, registry, signal } = options;
  const metrics: SshMetrics = createSshMetrics(registry, () => courier.visiting);
  const courier: Courier = new Courier({
    machines: stores.nixMachines,
    configs: stores.nixConfigs,
    submit: hub.submit,
    readMachine: hub.readMachine,
    readSecret: secretReader(client),
    tell: (machine, reason, message) => events.event(machine, { type: 'Warning', reason, message, action: 'Visit' }),
    metrics,
    replica,
    log: options.log.child({ component: 'ssh' }),
    signal,
  });
  await courier.run();
}
