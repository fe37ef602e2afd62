// The process that runs the course of the bench inside the cluster: it prints lines of JSON, `{say}` and last `{measured}`.
import { type Job, rolloutCourse } from './course.ts';

/** What it prints, one object a line. */
export type CourseLine = { readonly say: string } | { readonly measured: Awaited<ReturnType<typeof rolloutCourse>> };

function print(line: CourseLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const end = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => end.abort(new Error(`${name} came`)));

try {
  const job = JSON.parse(process.argv[2] ?? '{}') as Job;
  print({ measured: await rolloutCourse(job, { signal: end.signal, say: (say) => print({ say }) }) });
} catch (error) {
  const cause = error instanceof Error && error.cause !== undefined ? `\n${String(error.cause)}` : '';
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${cause}\n`);
  process.exitCode = 1;
}
