// The alert rules as Prometheus reads them: what the chart renders for the Prometheus operator, without the object around it.
import { parseAllDocuments } from 'yaml';
import { chart } from './helm.ts';

/** Helm with these arguments; what it prints. */
type Helm = (args: readonly string[]) => Promise<string>;

/** One alert of a rules file. */
export type AlertRule = {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

/** A rules file. */
export type AlertRules = {
  readonly groups: readonly { readonly name: string; readonly rules: readonly AlertRule[] }[];
};

/** The rules with these values (`--set-json`, path to value). Throws Helm's complaint about values that it refuses. */
export async function alertRules(helm: Helm, values: Readonly<Record<string, unknown>> = {}): Promise<AlertRules> {
  const all = { ...values, 'metrics.prometheusRule.enabled': true };
  const settings = Object.entries(all).flatMap(([path, value]) => ['--set-json', `${path}=${JSON.stringify(value)}`]);
  const api = ['--api-versions', 'monitoring.coreos.com/v1/PrometheusRule'];
  const text = await helm(['template', 'floe', chart, '-n', 'floe-system', ...api, ...settings]);
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as { kind?: string; spec: AlertRules } | null;
    if (object?.kind === 'PrometheusRule') return object.spec;
  }
  throw new Error('the chart made no PrometheusRule');
}
