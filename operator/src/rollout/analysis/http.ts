// Asks an HTTP server, and takes the part of its answer that counts.
import type { HttpMetric } from '@floe/crds/analysis';
import { type AskOptions, askServer } from './ask-server.ts';
import type { Credentials } from './credentials.ts';
import { MeasurementError } from './measurement-error.ts';
import { filledIn, type Variables } from './variables.ts';

/** The value that `jsonPath` names; undefined where the answer has none. Throws MeasurementError. */
export async function askHttp(
  metric: HttpMetric,
  { variables, credentials, ask }: { variables: Variables; credentials: Credentials; ask: AskOptions },
): Promise<unknown> {
  const { url, method = 'GET', headers = [], body, jsonPath, insecureSkipTLSVerify } = metric;
  const { status, text } = await askServer(
    {
      url: filledIn(url, variables, 'url'),
      method,
      headers: Object.fromEntries(headers.map(({ name, value }) => [name.toLowerCase(), value])),
      body: body === undefined ? undefined : filledIn(body, variables, 'text'),
      credentials,
      insecure: insecureSkipTLSVerify ?? false,
    },
    ask,
  );
  if (status < 200 || status > 299) throw new MeasurementError(`the server answered with ${status}`);
  return partOf(text, jsonPath);
}

/** Takes `$.data.items[0]` of a JSON answer. */
export function partOf(text: string, jsonPath: string | undefined): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    if (jsonPath !== undefined) throw new MeasurementError('the answer is no JSON, so jsonPath names nothing in it');
    return text.trim();
  }
  for (const [, index, field] of (jsonPath ?? '').matchAll(/\[(\d+)\]|([A-Za-z_][A-Za-z0-9_-]*)/g)) {
    const key = index ?? field ?? '';
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    value = isThere ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value;
}
