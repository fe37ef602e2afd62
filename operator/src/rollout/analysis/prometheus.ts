// Asks a Prometheus for the values of a query, over its HTTP API.
import type { PrometheusMetric } from '@floe/crds/analysis';
import { parseJson } from '@floe/crds/json';
import { type AskOptions, askServer } from './ask-server.ts';
import type { Credentials } from './credentials.ts';
import { MeasurementError } from './measurement-error.ts';
import { filledIn, type Variables } from './variables.ts';

/** Values of an answer that are looked at. */
const MOST_VALUES = 1000;

/** The values of an instant query, in the order of the answer; throws MeasurementError. */
export async function askPrometheus(
  { address, query, insecureSkipTLSVerify }: PrometheusMetric,
  { variables, credentials, ask }: { variables: Variables; credentials: Credentials; ask: AskOptions },
): Promise<readonly number[]> {
  const { status, text } = await askServer(
    {
      url: `${filledIn(address, variables, 'url').replace(/(?<!\/)\/+$/, '')}/api/v1/query`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ query: filledIn(query, variables, 'promql') }).toString(),
      credentials,
      insecure: insecureSkipTLSVerify ?? false,
    },
    ask,
  );
  return valuesOf(text, status);
}

type Answer = { readonly status?: unknown; readonly error?: unknown; readonly data?: unknown };

/** Reads the answer of `/api/v1/query`. */
export function valuesOf(text: string, status: number): readonly number[] {
  const answer = parsed(text);
  if (answer?.status !== 'success') {
    const words = typeof answer?.error === 'string' ? `: ${answer.error}` : '; is prometheus.address right?';
    throw new MeasurementError(`Prometheus answered with ${status}${words}`);
  }
  const { resultType, result } = (answer.data ?? {}) as { resultType?: unknown; result?: unknown };
  if (!Array.isArray(result)) throw new MeasurementError('Prometheus answered without a result');
  if (resultType === 'scalar') return [numberOf(result[1])];
  if (resultType !== 'vector') {
    throw new MeasurementError(`the query gives a ${String(resultType)}; make it an instant vector or a scalar`);
  }
  return result.slice(0, MOST_VALUES).map((sample: { value?: readonly unknown[] }) => numberOf(sample.value?.[1]));
}

function parsed(text: string): Answer | undefined {
  const answer = parseJson(text);
  return typeof answer === 'object' && answer !== null ? answer : undefined;
}

function numberOf(text: unknown): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return typeof text === 'string' ? Number(text) : Number.NaN;
}
