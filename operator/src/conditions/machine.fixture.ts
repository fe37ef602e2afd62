// Machines for the tests of conditions, hub and machine controller.
import type { Attempt, Desired, NixMachine, NixMachineSpec, NixMachineStatus } from '@floe/crds/nix-machine';

const HASH = '0123456789abcdfghijklmnpqrsvwxyz';

/** A store path that is told from others by `name`. */
export const closure = (name: string): string => `/nix/store/${HASH}-nixos-system-${name}`;

export const OLD = closure('old');
export const NEW = closure('new');

/** An order to switch to NEW. */
export function desired(over: Partial<Desired> = {}): Desired {
  return {
    id: '00000000000000aa',
    sequence: 5,
    revision: '3f9c2ab41c07',
    closure: NEW,
    reason: 'Rollout',
    go: true,
    since: '2026-03-01T09:59:00Z',
    ...over,
  };
}

/** An attempt at the order of `desired()`. */
export function attempt(phase: string, over: Partial<Attempt> = {}): Attempt {
  return { desiredId: '00000000000000aa', to: NEW, from: OLD, phase, ...over };
}

/** A machine `web-01` of config `web`, with the status given. */
export function machine(status?: NixMachineStatus, spec: Partial<NixMachineSpec> = {}): NixMachine {
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: { name: 'web-01', namespace: 'shop', uid: 'u-1', resourceVersion: '7', generation: 1 },
    spec: { configRef: { name: 'web' }, ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

/** Status of a machine that is connected and runs OLD. */
export const running = (over: NixMachineStatus = {}): NixMachineStatus => ({
  connection: { online: true, since: '2026-03-01T09:00:00Z', replica: 'floe-0' },
  current: { closure: OLD, revision: '91b4e0d5523f' },
  bootDefault: { closure: OLD, revision: '91b4e0d5523f' },
  reboot: { required: false, reasons: [] },
  failedUnits: [],
  ...over,
});

/** The part of `running` for a machine that runs NEW. */
export const onNew = {
  current: { closure: NEW, revision: '3f9c2ab41c07' },
  bootDefault: { closure: NEW, revision: '3f9c2ab41c07' },
} as const;

export const OFFLINE = { online: false, since: '2026-03-01T09:30:00Z' } as const;
