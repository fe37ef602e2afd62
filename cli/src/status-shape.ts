// Whether a status that came from a file has the form that the planner reads; more than that is not asked of it.

export type Misshapen = { readonly field: string; readonly message: string };

type Shape = 'text' | 'flag' | 'integer' | 'time' | { readonly each: Shape } | { readonly fields: Fields };
type Fields = Readonly<Record<string, Shape>>;

const RUNNING = { fields: { closure: 'text', revision: 'text' } } as const satisfies Shape;
const CONDITIONS: Shape = {
  each: { fields: { type: 'text', status: 'text', reason: 'text', message: 'text', lastTransitionTime: 'time' } },
};

/** What the planner reads of a NixMachine's status. */
export const MACHINE_STATUS: Fields = {
  conditions: CONDITIONS,
  desired: {
    fields: {
      id: 'text',
      sequence: 'integer',
      revision: 'text',
      closure: 'text',
      rollout: 'text',
      run: 'text',
      reason: 'text',
      go: 'flag',
      since: 'time',
      reboot: 'flag',
      rebootSince: 'time',
    },
  },
  current: { fields: { ...RUNNING.fields, since: 'time' } },
  booted: RUNNING,
  bootDefault: RUNNING,
  attempt: {
    fields: {
      desiredId: 'text',
      from: 'text',
      to: 'text',
      phase: 'text',
      exitCode: 'integer',
      failedUnits: { each: 'text' },
      message: 'text',
      startedAt: 'time',
      finishedAt: 'time',
    },
  },
  connection: { fields: { online: 'flag', since: 'time' } },
  reboot: { fields: { required: 'flag' } },
  failedUnits: { each: 'text' },
  knownBad: { each: 'text' },
};

/** What it reads of an analysis. */
const SCOPE: Fields = {
  startedAt: 'time',
  phase: 'text',
  message: 'text',
  metrics: {
    each: {
      fields: {
        name: 'text',
        phase: 'text',
        successful: 'integer',
        failed: 'integer',
        inconclusive: 'integer',
        errors: 'integer',
        consecutiveErrors: 'integer',
        measurements: { each: { fields: { result: 'text', value: 'text', at: 'time', message: 'text' } } },
      },
    },
  },
};

/** What the planner reads of a Rollout's status. */
export const ROLLOUT_STATUS: Fields = {
  conditions: CONDITIONS,
  lastHandled: { fields: {} },
  revision: 'text',
  stableRevision: 'text',
  run: 'text',
  startedAt: 'time',
  estimatedEnd: 'time',
  phase: 'text',
  completedAt: 'time',
  step: {
    fields: {
      index: 'integer',
      total: 'integer',
      startedAt: 'time',
      size: 'integer',
      toldBefore: 'integer',
      failedBefore: 'integer',
      accepted: 'integer',
    },
  },
  failures: { each: { fields: { machine: 'text', message: 'text', at: 'time' } } },
  history: { each: { fields: { run: 'text', revision: 'text', outcome: 'text', startedAt: 'time', endedAt: 'time' } } },
  stopped: { fields: { reason: 'text', message: 'text', at: 'time' } },
  rollback: { fields: { to: 'text', startedAt: 'time' } },
  retry: { fields: { count: 'integer', at: 'time' } },
  unconfirmed: { each: { fields: { machine: 'text', order: 'text', times: 'integer' } } },
  pausedSeconds: 'integer',
  waiting: { fields: { reason: 'text', since: 'time', until: 'time' } },
  progress: { fields: { since: 'time', idle: 'flag' } },
  urgent: { fields: { at: 'time', by: 'text' } },
  promoted: 'flag',
  orders: { each: { fields: { verb: 'text', value: 'text', by: 'text', at: 'time' } } },
  stepsHash: 'text',
  analysis: {
    fields: {
      run: 'text',
      step: { fields: { index: 'integer', ...SCOPE } },
      background: { fields: SCOPE },
      cause: 'text',
      acceptedAt: 'time',
    },
  },
};

/** What the planner reads of a NixConfig's status. */
export const CONFIG_STATUS: Fields = {
  revision: { fields: { id: 'text' } },
  build: { fields: { phase: 'text' } },
};

/** The first field of `status` that has another form than `fields` says; absent ones are fine. */
export function misshapen(status: unknown, fields: Fields): Misshapen | undefined {
  return status === undefined ? undefined : check(status, { fields }, 'status');
}

function check(value: unknown, shape: Shape, field: string): Misshapen | undefined {
  if (typeof shape === 'string') return checkPlain(value, shape, field);
  if ('each' in shape) {
    if (!Array.isArray(value)) return { field, message: 'must be a list' };
    return first(value.map((item, index) => check(item, shape.each, `${field}[${index}]`)));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { field, message: 'must be an object' };
  return first(
    Object.entries(shape.fields).map(([name, part]) => {
      const inner = (value as Record<string, unknown>)[name];
      return inner === undefined ? undefined : check(inner, part, `${field}.${name}`);
    }),
  );
}

function checkPlain(value: unknown, shape: 'text' | 'flag' | 'integer' | 'time', field: string): Misshapen | undefined {
  switch (shape) {
    case 'text':
      return typeof value === 'string' ? undefined : { field, message: 'must be text' };
    case 'flag':
      return typeof value === 'boolean' ? undefined : { field, message: 'must be true or false' };
    case 'integer':
      return Number.isSafeInteger(value) ? undefined : { field, message: 'must be a whole number' };
    case 'time':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value))
        ? undefined
        : { field, message: 'must be a time in RFC 3339, 2026-03-01T14:31:00Z' };
    default:
      return shape satisfies never;
  }
}

function first(found: readonly (Misshapen | undefined)[]): Misshapen | undefined {
  return found.find((problem) => problem !== undefined);
}
