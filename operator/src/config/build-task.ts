// A build that shall run: the machines of one revision that one Job builds.
import type { BuildRequest } from '@floe/crds/build';
import type { NixConfig } from '@floe/crds/nix-config';
import { shortHash } from './canonical.ts';
import { jobName } from './names.ts';
import { type ConfigSettings, forNamespace } from './settings.ts';
import type { Problem, ResolvedSource } from './source.ts';

export type MachineRequest = { readonly name: string; readonly attribute: string };

export type BuildTask = {
  /** Name of the Job and of its ConfigMap. */
  readonly job: string;
  readonly revision: string;
  readonly source: ResolvedSource;
  /** The lock file that the revision was built with before; undefined: the inputs are locked by this build. */
  readonly lock?: string | undefined;
  /** Sorted by name. */
  readonly machines: readonly MachineRequest[];
};

/** Bytes that a ConfigMap may hold (1 MiB), less what its metadata may take. */
export const MAX_REQUEST_BYTES = 1_000_000;
/** Bytes of a request besides its source, modules, inputs, lock and machines; more than it ever has. */
export const REQUEST_OVERHEAD = 16_384;

/**
 * Names the Job of a build. The first build of a revision has the plain name; later ones (machines that joined, another
 * try) are told apart by what they build and which try it is, so that the same decision always has the same name.
 */
export function buildJobName(
  config: string,
  revision: string,
  what: { machines: readonly MachineRequest[]; first: boolean; attempts: number; order: string | undefined },
): string {
  const { machines, first, attempts, order } = what;
  if (first && attempts === 0) return jobName(config, revision);
  return jobName(config, revision, shortHash([machines, attempts, order ?? null], 6));
}

/** The request of a Job, or why it can't be stored. */
export function buildRequest(
  config: NixConfig,
  task: BuildTask,
  context: { readonly settings: ConfigSettings; readonly publicKey: string },
): { kind: 'request'; request: BuildRequest; json: string } | { kind: 'problem'; problem: Problem } {
  const { settings, publicKey } = context;
  const namespace = config.metadata.namespace ?? 'default';
  const { machinesPerEvaluation } = config.spec.build ?? {};
  const { request: source } = task.source;
  const request: BuildRequest = {
    namespace,
    config: config.metadata.name,
    revision: task.revision,
    job: task.job,
    source:
      source.kind === 'flake'
        ? { ...source, field: config.spec.source.git === undefined ? 'spec.source.flake' : 'spec.source.git' }
        : { kind: 'inline', files: { ...source.files } },
    inputs: config.spec.inputs ?? {},
    ...(task.lock === undefined ? {} : { lock: task.lock }),
    modules: config.spec.modules ?? [],
    machines: task.machines.map(({ name, attribute }) => ({ name, attribute })),
    ...(machinesPerEvaluation === undefined ? {} : { machinesPerEvaluation }),
    cache: {
      url: forNamespace(settings.cacheUrl, namespace),
      substituter: forNamespace(settings.cacheSubstituter, namespace),
      publicKey,
    },
    substituters: settings.substituters.map(({ url, publicKeys }) => ({ url, publicKeys: [...publicKeys] })),
    reportUrl: settings.reportUrl,
    ...(settings.reportCa === undefined ? {} : { reportCa: settings.reportCa }),
  };
  const json = JSON.stringify(request);
  if (Buffer.byteLength(json) <= MAX_REQUEST_BYTES) return { kind: 'request', request, json };
  return { kind: 'problem', problem: tooLarge(request, Buffer.byteLength(json)) };
}

/** Machines that fit into one request; the rest get a Job of their own afterwards. At least one. */
export function machinesThatFit(machines: readonly MachineRequest[], bytesLeft: number): readonly MachineRequest[] {
  let bytes = 0;
  const end = machines.findIndex((machine) => {
    bytes += Buffer.byteLength(JSON.stringify(machine)) + 1;
    return bytes > bytesLeft;
  });
  return end < 0 ? machines : machines.slice(0, Math.max(1, end));
}

/** Bytes of a request without its machines, about. */
export function fixedBytes(spec: NixConfig['spec'], source: ResolvedSource, lock: string | undefined): number {
  return Buffer.byteLength(JSON.stringify([source.request, spec.modules, spec.inputs, lock])) + REQUEST_OVERHEAD;
}

function tooLarge({ source, modules }: BuildRequest, bytes: number): Problem {
  const inline = source.kind === 'inline' ? JSON.stringify(source.files).length : 0;
  const modulesAreLarger = JSON.stringify(modules).length > inline;
  return {
    reason: 'InvalidSpec',
    field: modulesAreLarger ? 'spec.modules' : 'spec.source.inline.files',
    message: `the build request has ${bytes} bytes, and a ConfigMap holds ${MAX_REQUEST_BYTES}`,
    remedy: 'move the files into a git repository and use spec.source.git',
    transient: false,
  };
}
