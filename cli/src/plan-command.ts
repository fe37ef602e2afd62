// `floe plan`: the rollout planner as a dry run over files; touches nothing.
import { plan } from '@floe/operator/rollout/plan';
import { readFlags } from './flags.ts';
import { outputFlags, wantsJson } from './output.ts';
import { PLAN_FLAGS, type PlanPorts, planInput } from './plan-input.ts';
import { type PrintedPlan, printedPlan } from './printed-plan.ts';

export const PLAN_HELP = `kubectl floe plan -f FILE|- [--now TIME] [--rollout NAME] [--course]

Says what a Rollout would do now, and touches nothing.

  -f, --file FILE    YAML or JSON of Rollouts, NixConfigs, ControllerRevisions and NixMachines; - is the standard input
      --now TIME     plan as of this time, RFC 3339; default: now
      --rollout NAME the Rollout to plan, NAME or NAMESPACE/NAME, where there are several

Prints JSON: rollout, phase, step, dispatch, fetch, hold, rollback, budget, counts, conditions, nextCheck, status.
Exit code 2 on wrong input; on a pipe, and with --json, JSON with error, field and remedy.

      --course       the whole course of the Rollout instead: who moves when, what it waits for, how it ends
      --machines     with --course: machine by machine
      --approved     with --course: each pause that waits for a person is approved at once; else the course ends there
      --json         with --course: JSON with rollout, revision, waves, end, left; errors as JSON; -o json is the same

The course is what the same planner does as time goes by, where every machine takes as long as machines took before,
comes up healthy, and stays online or offline as it is.

  kubectl get rollouts.floe.dev,nixconfigs,nixmachines,controllerrevisions -o yaml | kubectl floe plan -f - --rollout web`;

/** Plans what the arguments name. Throws InputError on wrong input. */
export async function planCommand(argv: readonly string[], ports: PlanPorts): Promise<PrintedPlan> {
  const flags = readFlags(argv, { ...PLAN_FLAGS, ...outputFlags }, { f: 'file', o: 'output' });
  // It is JSON anyway; asked for in words, so are errors.
  wantsJson(flags);
  const { snapshot, now } = await planInput(flags, ports);
  return printedPlan(plan(snapshot, now));
}
