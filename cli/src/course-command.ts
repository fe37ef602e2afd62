// `floe plan --course`: the whole course of a rollout as it stands, as a table or as JSON; touches nothing.
import { type Course, type CourseEnd, forecast, type Wave } from '@floe/operator/rollout/forecast';
import { courseText } from './course-text.ts';
import { readFlags } from './flags.ts';
import { outputFlags, wantsJson } from './output.ts';
import { PLAN_FLAGS, type PlanPorts, planInput } from './plan-input.ts';

/** The course in the form that `floe plan --course --json` prints and that others may rely on. */
export type PrintedCourse = {
  readonly rollout: string;
  readonly revision: string | null;
  readonly waves: readonly Wave[];
  readonly end: Omit<CourseEnd, 'kind'>;
  /** Who has not got the revision at the end. */
  readonly left: Course['left'];
  /** Seconds that a machine is taken to need, and from how many machines that is known. */
  readonly assumed: { readonly goSeconds: number; readonly fetchSeconds: number; readonly knownFrom: number };
};

const FLAGS = { ...PLAN_FLAGS, ...outputFlags, course: 'flag', machines: 'flag', approved: 'flag' } as const;

/** The text to print. Throws InputError on wrong input. */
export async function courseCommand(argv: readonly string[], ports: PlanPorts): Promise<string> {
  const flags = readFlags(argv, FLAGS, { f: 'file', o: 'output' });
  const json = wantsJson(flags);
  const { snapshot, now } = await planInput(flags, ports);
  const course = forecast(snapshot, now, { approved: flags.flag('approved') });
  if (json) return JSON.stringify(printedCourse(course), undefined, 2);
  return courseText(course, { rollout: snapshot.rollout, now, machines: flags.flag('machines') });
}

function printedCourse({ rollout, revision, waves, end, left, pace }: Course): PrintedCourse {
  const { kind: _, ...printed } = end;
  return {
    rollout,
    revision: revision ?? null,
    waves,
    end: printed,
    left,
    assumed: { goSeconds: pace.goMs / 1000, fetchSeconds: pace.fetchMs / 1000, knownFrom: pace.known },
  };
}
