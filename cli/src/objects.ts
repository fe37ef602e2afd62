// Sorts the objects of a stream by kind and checks each: what `floe plan` works on.
import { GROUP } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import { parseNixConfig, parseNixMachine, parseRevisionRecord, parseRollout } from '@floe/crds/parse';
import type { Parsed } from '@floe/crds/parsed';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import { InputError } from './input-error.ts';
import { CONFIG_STATUS, MACHINE_STATUS, type Misshapen, misshapen, ROLLOUT_STATUS } from './status-shape.ts';

export type Objects = {
  readonly rollouts: Rollout[];
  readonly configs: NixConfig[];
  readonly machines: NixMachine[];
  readonly records: ControllerRevision[];
};

type Loose = {
  apiVersion?: unknown;
  kind?: unknown;
  metadata?: unknown;
  spec?: unknown;
  status?: unknown;
  items?: unknown;
};

/** The objects of all documents, Lists unfolded. Kinds that no plan needs are left out. */
export function objectsOf(documents: readonly unknown[], source: string): Objects {
  const objects: Objects = { rollouts: [], configs: [], machines: [], records: [] };
  const seen = new Set<string>();
  for (const object of documents.flatMap((document) => unfold(document, source))) add(objects, object, seen);
  return objects;
}

function unfold(document: unknown, source: string): Loose[] {
  if (Array.isArray(document)) return document.flatMap((item) => unfold(item, source));
  if (typeof document !== 'object' || document === null) throw notAnObject(document, source);
  const object = document as Loose;
  if (typeof object.kind !== 'string') {
    throw new InputError({
      error: 'an object without a kind',
      field: 'kind',
      remedy: 'give what `kubectl get -o yaml` prints',
    });
  }
  if (!object.kind.endsWith('List')) return [object];
  if (object.items !== undefined && !Array.isArray(object.items)) {
    throw new InputError({
      error: 'the items of a List must be a list',
      field: 'items',
      remedy: 'give what `kubectl get -o yaml` prints',
    });
  }
  const itemKind = object.kind === 'List' ? undefined : object.kind.slice(0, -'List'.length);
  const kinded = (item: unknown) =>
    typeof item === 'object' && item !== null && itemKind !== undefined
      ? { apiVersion: object.apiVersion, kind: itemKind, ...item }
      : item;
  return (object.items ?? []).flatMap((item: unknown) => unfold(kinded(item), source));
}

function notAnObject(document: unknown, source: string): InputError {
  return new InputError({
    error: `${JSON.stringify(document)?.slice(0, 40) ?? 'this'} is no Kubernetes object`,
    field: source,
    remedy: 'give what `kubectl get … -o yaml` or `-o json` prints',
  });
}

function add(objects: Objects, object: Loose, seen: Set<string>): void {
  const where = whereOf(object);
  const ours = typeof object.apiVersion === 'string' && object.apiVersion.startsWith(`${GROUP}/`);
  const key = `${where} ${(object.metadata as { namespace?: string } | undefined)?.namespace ?? ''}`;
  if (!(ours || object.kind === 'ControllerRevision')) return;
  checkMetadata(object, where);
  if (seen.has(key)) {
    throw new InputError({
      error: `${where} is there twice`,
      field: `${where}: metadata.name`,
      remedy: 'give each object once',
    });
  }
  seen.add(key);
  if (object.kind === 'Rollout')
    objects.rollouts.push(checked(object, where, { parse: parseRollout, status: ROLLOUT_STATUS }));
  else if (object.kind === 'NixConfig')
    objects.configs.push(checked(object, where, { parse: parseNixConfig, status: CONFIG_STATUS }));
  else if (object.kind === 'NixMachine')
    objects.machines.push(checked(object, where, { parse: parseNixMachine, status: MACHINE_STATUS }));
  else if (object.kind === 'ControllerRevision') addRecord(objects, object as ControllerRevision, where);
}

/** Records of others (of a DaemonSet, for instance) hold something else. */
function addRecord(objects: Objects, object: ControllerRevision, where: string): void {
  const isOurs =
    typeof object.data === 'object' && object.data !== null && 'config' in object.data && 'machines' in object.data;
  if (!isOurs) return;
  const parsed = parseRevisionRecord(object.data);
  if (!parsed.ok) throw wrong(where, { field: `data.${parsed.field}`, message: parsed.message });
  objects.records.push(object);
}

type Check<T> = { readonly parse: (value: unknown) => Parsed<T>; readonly status: Parameters<typeof misshapen>[1] };

/** The status is looked at for form only: what the planner does not read may be anything. */
function checked<T>({ status, ...object }: Loose, where: string, check: Check<T>): T {
  const parsed = check.parse(object);
  if (!parsed.ok) throw wrong(where, parsed);
  const problem = misshapen(status, check.status);
  if (problem !== undefined) throw wrong(where, problem);
  return status === undefined ? parsed.value : { ...parsed.value, status };
}

function checkMetadata({ metadata }: Loose, where: string): void {
  const { name, namespace, labels, annotations, creationTimestamp } = (metadata ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || name === '')
    throw wrong(where, { field: 'metadata.name', message: 'the field is missing' });
  if (namespace !== undefined && typeof namespace !== 'string') {
    throw wrong(where, { field: 'metadata.namespace', message: 'must be text' });
  }
  for (const [field, map] of Object.entries({ labels, annotations })) {
    const isMap =
      typeof map === 'object' && map !== null && Object.values(map).every((value) => typeof value === 'string');
    if (map !== undefined && !isMap) {
      throw wrong(where, { field: `metadata.${field}`, message: 'must be texts by name; quote numbers and booleans' });
    }
  }
  if (creationTimestamp !== undefined && Number.isNaN(Date.parse(String(creationTimestamp)))) {
    throw wrong(where, { field: 'metadata.creationTimestamp', message: 'must be a time in RFC 3339' });
  }
}

function wrong(where: string, { field, message }: Misshapen): InputError {
  const missing = /^the field (\S+) is missing$/.exec(message)?.[1];
  if (missing !== undefined) {
    const path = field === '' ? missing : `${field}.${missing}`;
    return new InputError({ error: `${where}: ${path} is missing`, field: path, remedy: `add ${path} to ${where}` });
  }
  const [what = message, remedy] = message.split('; ', 2);
  return new InputError({
    error: `${where}: ${field}: ${what}`,
    field,
    remedy: remedy ?? `correct ${field} of ${where}`,
  });
}

function whereOf({ kind, metadata }: Loose): string {
  const name = (metadata as { name?: unknown } | undefined)?.name;
  return typeof name === 'string' ? `${String(kind)} ${name}` : String(kind);
}
