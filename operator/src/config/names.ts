// Names and labels of the objects that a NixConfig owns.
import { LABEL_CONFIG, LABEL_REVISION } from '@floe/crds/constants';
import { shortHash } from './canonical.ts';

/** A label's value for a name: the name itself, or its beginning and a hash where it is longer than 63 characters. */
export function labelValue(name: string): string {
  return name.length <= 63 ? name : `${name.slice(0, 54)}-${shortHash(name, 8)}`;
}

/** The labels by which everything of a config's revision is found. */
export function ownedLabels(config: string, revision: string): Record<string, string> {
  return { [LABEL_CONFIG]: labelValue(config), [LABEL_REVISION]: revision };
}

/**
 * Name of a Job: `<config>-<revision>[-<suffix>]`, at most 63 characters, since its pods carry it as a label.
 * Dots and long names give way to a hash of the whole name.
 */
export function jobName(config: string, revision: string, suffix?: string): string {
  const tail = suffix === undefined ? revision : `${revision}-${suffix}`;
  const room = 63 - tail.length - 1;
  const plain = config.length <= room && !config.includes('.');
  const head = plain ? config : `${config.replaceAll('.', '-').slice(0, room - 9)}-${shortHash(config, 8)}`;
  return `${head}-${tail}`;
}

/** Name of a part of a revision record; the uid tells a Job from an earlier one of the same name. */
export function recordName(config: string, revision: string, job: { name: string; uid: string }, part: number): string {
  return `${config.slice(0, 200)}-${revision}-${shortHash([job.name, job.uid], 8)}-${part}`;
}
