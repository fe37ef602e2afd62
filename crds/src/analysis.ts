// Analysis in a Rollout: what is measured while it runs, and what the measurements say.
import { type Static, Type } from 'typebox';
import { Duration, exactlyOneOf, ObjectName, OneOf, Time } from './schema.ts';

const SecretRef = (description: string) =>
  Type.Object(
    { name: ObjectName('Name of the Secret, in the namespace of the Rollout.') },
    {
      description: `${description} Keys: \`token\` (sent as bearer token), or \`username\` and \`password\`; \`ca.crt\`, the CA of the server, PEM.`,
    },
  );

const insecure = Type.Optional(
  Type.Boolean({ description: 'Do not check the certificate of the server.', default: false }),
);

const PrometheusMetric = Type.Object(
  {
    address: Type.String({
      description: 'Where Prometheus answers, `http://prometheus.monitoring.svc:9090` for instance.',
      maxLength: 2048,
      pattern: '^https?://',
    }),
    query: Type.String({
      description:
        'An instant query in PromQL. `{{machines}}` is a regular expression of the machines that have the revision of the run, `{{control}}` of those that do not have it yet and are online: `up{instance=~"({{machines}}):9100"}`. `{{revision}}`, `{{stableRevision}}`, `{{rollout}}` and `{{namespace}}` are replaced, too.',
      minLength: 1,
      maxLength: 4096,
    }),
    secretRef: Type.Optional(SecretRef('Credentials for it.')),
    insecureSkipTLSVerify: insecure,
  },
  { description: 'Asks a Prometheus. `result` in the conditions is the list of values.' },
);

const HttpMetric = Type.Object(
  {
    url: Type.String({
      description:
        'What is asked. `{{machines}}` and `{{control}}` are lists with commas here; the other variables as in `prometheus.query`.',
      maxLength: 2048,
      pattern: '^https?://',
    }),
    method: Type.Optional(OneOf(['GET', 'POST', 'PUT'], 'Method of the request.', 'GET')),
    headers: Type.Optional(
      Type.Array(
        Type.Object({
          name: Type.String({ description: 'Name of the header.', maxLength: 128, pattern: '^[A-Za-z0-9-]+$' }),
          value: Type.String({ description: 'Its value; secrets belong into `secretRef`.', maxLength: 1024 }),
        }),
        { description: 'Headers of the request.', maxItems: 16 },
      ),
    ),
    body: Type.Optional(Type.String({ description: 'Body of the request; variables as in `url`.', maxLength: 16_384 })),
    jsonPath: Type.Optional(
      Type.String({
        description:
          'Which part of the JSON answer is `result`: `$.data.errorRate`, `$.checks[0].state`. Default all of it; an answer that is not JSON is text.',
        maxLength: 256,
        pattern: '^\\$?(\\.?[A-Za-z_][A-Za-z0-9_-]*|\\[[0-9]+\\])(\\.[A-Za-z_][A-Za-z0-9_-]*|\\[[0-9]+\\])*$',
      }),
    ),
    secretRef: Type.Optional(SecretRef('Credentials for it.')),
    insecureSkipTLSVerify: insecure,
  },
  { description: 'Asks an HTTP server. An answer other than 2xx is an error.' },
);

const JobMetric = Type.Object(
  {
    spec: Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      description:
        'Spec of a Kubernetes Job. Its containers get FLOE_MACHINES and FLOE_CONTROL (lists with commas), FLOE_REVISION, FLOE_STABLE_REVISION, FLOE_ROLLOUT and FLOE_NAMESPACE. Without `backoffLimit` it is not tried again.',
      'x-kubernetes-preserve-unknown-fields': true,
    }),
  },
  { description: 'Runs a Job in the namespace of the Rollout: complete is success, failed is failure.' },
);

/**
 * How something is measured and judged; what `metrics` have in common may stand beside them. No field has a default in the
 * schema: the API server would write it into each metric, before what stands beside them.
 */
const judgement = {
  interval: Type.Optional(Duration('Time between two measurements. Default 1 min.')),
  count: Type.Optional(
    Type.Integer({
      description: 'How often to measure; errors do not count. Default 1 in a step, without end in the background.',
      minimum: 1,
      maximum: 10_000,
    }),
  ),
  initialDelay: Type.Optional(Duration('Time before the first measurement. Default none.')),
  timeout: Type.Optional(Duration('How long a measurement may take. Default 30 s, a Job 10 min.')),
  successCondition: Type.Optional(
    Type.String({
      description:
        'When a measurement is a success, `result[0] < 0.01` for instance. With `failureCondition` beside it, what is neither is inconclusive; without any condition each value is a success.',
      minLength: 1,
      maxLength: 1024,
    }),
  ),
  failureCondition: Type.Optional(
    Type.String({ description: 'When a measurement is a failure.', minLength: 1, maxLength: 1024 }),
  ),
  failureLimit: Type.Optional(
    Type.Integer({ description: 'Failures that are accepted. Default 0.', minimum: 0, maximum: 10_000 }),
  ),
  inconclusiveLimit: Type.Optional(
    Type.Integer({
      description: 'Inconclusive measurements that are accepted. Default 0.',
      minimum: 0,
      maximum: 10_000,
    }),
  ),
  consecutiveErrorLimit: Type.Optional(
    Type.Integer({
      description: 'Errors in a row that are accepted; after an error it is measured again in 10 s. Default 4.',
      minimum: 0,
      maximum: 10_000,
    }),
  ),
  dryRun: Type.Optional(
    Type.Boolean({ description: 'Measure and show, but let the result change nothing. Default false.' }),
  ),
};

const sources = {
  prometheus: Type.Optional(PrometheusMetric),
  http: Type.Optional(HttpMetric),
  job: Type.Optional(JobMetric),
};

const Metric = Type.Object(
  {
    name: Type.String({
      description: 'Name of the metric, unique among those beside it.',
      minLength: 1,
      maxLength: 63,
      pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
    }),
    ...sources,
    ...judgement,
  },
  {
    description: 'One thing that is measured.',
    'x-kubernetes-validations': [exactlyOneOf(['prometheus', 'http', 'job'], 'metrics[]')],
  },
);

const metrics = Type.Optional(
  Type.Array(Metric, {
    description:
      'Several things to measure. What is set beside `metrics` holds for those that do not set it themselves.',
    minItems: 1,
    maxItems: 10,
  }),
);

/** `steps[].analysis`: one metric as it is, or several. */
export const AnalysisStep = Type.Object(
  { ...sources, metrics, ...judgement },
  {
    description: 'Measure, and go on when all is well. Name one source here, or several metrics.',
    'x-kubernetes-validations': [exactlyOneOf(['prometheus', 'http', 'job', 'metrics'], 'spec.steps[].analysis')],
  },
);

/** `spec.analysis`: the same in the background, beside the steps. */
export const BackgroundAnalysis = Type.Object(
  {
    startingStep: Type.Optional(
      Type.Integer({
        description: 'The step from which on it runs, counted from 0 as in `status.step.index`.',
        default: 0,
        minimum: 0,
        maximum: 63,
      }),
    ),
    builtIn: Type.Optional(
      Type.Boolean({
        description:
          'Check that machines that the run has updated stay healthy, and hold their connection in the ten minutes after. Where too few of them do for `successThreshold`, the analysis failed. It holds nobody up. Without `spec.analysis` it looks at the ten minutes after each update, in runs whose steps have a batch before the last one; with `spec.analysis`, `{}` included, and in each analysis step, at the health of the updated ones all the time. `false` turns it off. Who turned bad within `soak` failed the batch, and does not count here.',
        default: true,
      }),
    ),
    ...sources,
    metrics,
    ...judgement,
  },
  {
    description: 'Measure while the steps go on; as soon as it fails the run fails.',
    'x-kubernetes-validations': [
      {
        rule: '(has(self.prometheus) ? 1 : 0) + (has(self.http) ? 1 : 0) + (has(self.job) ? 1 : 0) + (has(self.metrics) ? 1 : 0) <= 1',
        message: 'spec.analysis: set one of prometheus, http, job, metrics',
      },
    ],
  },
);

/** Phases of a metric, and of an analysis. */
export const ANALYSIS_PHASES = ['Running', 'Successful', 'Failed', 'Error', 'Inconclusive'] as const;
const RESULTS = ['Successful', 'Failed', 'Inconclusive', 'Error'] as const;

const count = (description: string) => Type.Integer({ description });

const MetricStatus = Type.Object({
  name: Type.String({ description: 'Name of the metric.', maxLength: 63 }),
  phase: OneOf(ANALYSIS_PHASES, 'What its measurements say.'),
  successful: count('Measurements that were a success.'),
  failed: count('Measurements that were a failure.'),
  inconclusive: count('Measurements that were neither.'),
  errors: count('Measurements that gave no result.'),
  consecutiveErrors: count('Errors since the last measurement with a result.'),
  measurements: Type.Optional(
    Type.Array(
      Type.Object({
        result: OneOf(RESULTS, 'What it was.'),
        value: Type.Optional(Type.String({ description: 'The value, as text.', maxLength: 256 })),
        at: Time('When it ended.'),
        message: Type.Optional(Type.String({ description: 'Why, where it was no success.', maxLength: 512 })),
      }),
      { description: 'The last five measurements, newest first.', maxItems: 5 },
    ),
  ),
});

const scope = {
  startedAt: Time('When it began.'),
  phase: OneOf(ANALYSIS_PHASES, 'The worst of its metrics.'),
  message: Type.Optional(Type.String({ description: 'A sentence for people.', maxLength: 1024 })),
  metrics: Type.Array(MetricStatus, { description: 'Its metrics.', maxItems: 10 }),
};

export const AnalysisStatus = Type.Object(
  {
    run: Type.String({ description: 'The run that it belongs to.', maxLength: 64 }),
    step: Type.Optional(
      Type.Object(
        {
          index: Type.Integer({ description: 'The step that it is, counted from 0.' }),
          ...scope,
        },
        { description: 'The analysis step in hand, else the last one.' },
      ),
    ),
    background: Type.Optional(Type.Object(scope, { description: 'What `spec.analysis` measures.' })),
    builtIn: Type.Optional(
      Type.Object(
        {
          turnedBad: Type.Integer({
            description: 'Machines that turned bad after the run had updated them, and still are.',
          }),
          machines: Type.Optional(
            Type.Array(ObjectName('Name of the NixMachine.'), {
              description: 'The first ten of them, in the order in which they did.',
              maxItems: 10,
            }),
          ),
          message: Type.Optional(Type.String({ description: 'What happened to the first of them.', maxLength: 512 })),
        },
        { description: 'What the built-in check sees. Absent: it does not look.' },
      ),
    ),
    cause: Type.Optional(
      Type.String({ description: 'For what the run failed, where analysis was the reason.', maxLength: 1024 }),
    ),
    acceptedAt: Type.Optional(
      Time('When a person let the run go on last: machines that had turned bad by then no longer fail it.'),
    ),
  },
  { description: 'What is measured while the run goes on.' },
);

export type AnalysisStep = Static<typeof AnalysisStep>;
export type BackgroundAnalysis = Static<typeof BackgroundAnalysis>;
export type Metric = Static<typeof Metric>;
export type PrometheusMetric = Static<typeof PrometheusMetric>;
export type HttpMetric = Static<typeof HttpMetric>;
export type JobMetric = Static<typeof JobMetric>;
export type AnalysisStatus = Static<typeof AnalysisStatus>;
export type MetricStatus = Static<typeof MetricStatus>;
export type MeasurementResult = (typeof RESULTS)[number];
export type AnalysisPhase = (typeof ANALYSIS_PHASES)[number];
