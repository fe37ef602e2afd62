// Reads the text form in which Prometheus metrics are served.

/** One series and its value. */
export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)(?: [0-9-]+)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', '"': '"', '\\': '\\' };

/** The samples of the metrics that `wanted` names; lines that are no samples are passed over. */
export function readMetrics(text: string, wanted: readonly string[]): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (!wanted.some((name) => line.startsWith(name))) continue;
    const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? [];
    if (!wanted.includes(name)) continue;
    samples.push({ name, labels: readLabels(labels), value: Number(value.replace('+Inf', 'Infinity')) });
  }
  return samples;
}

/** The sum over the series that have all of `labels`. */
export function sumOf(samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels);
  return samples
    .filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

function readLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(LABEL)].map(([, key = '', value = '']) => [
    key,
    value.replace(/\\(.)/g, (_, escaped: string) => ESCAPES[escaped] ?? escaped),
  ]);
  return Object.fromEntries(pairs);
}
