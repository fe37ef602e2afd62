// Label and field selectors as queries carry them.
import type { KubeObject } from '@floe/operator/kube/object';
import { badRequest } from './api-status.ts';

export type Matcher = (object: KubeObject) => boolean;

/** A function that says whether an object matches both selectors. */
export function parseSelectors(labels: string | null, fields: string | null): Matcher {
  const matchers = [...split(labels).map(labelMatcher), ...split(fields).map(fieldMatcher)];
  return (object) => matchers.every((matches) => matches(object));
}

/** Splits at the commas that are not within parentheses. */
function split(selector: string | null): string[] {
  return (selector ?? '')
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter(Boolean);
}

function labelMatcher(term: string): Matcher {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const values = list.split(',').map((value) => value.trim());
    return (object) => values.includes(object.metadata.labels?.[key] ?? '\0') === (operator === 'in');
  }
  const equality = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(term);
  if (equality !== null) {
    const [, key = '', operator, value] = equality;
    return (object) => (object.metadata.labels?.[key] === value) === (operator !== '!=');
  }
  if (/^!?[^=!\s]+$/.test(term)) {
    const absent = term.startsWith('!');
    const key = absent ? term.slice(1) : term;
    return (object) => (object.metadata.labels?.[key] === undefined) === absent;
  }
  throw badRequest(`unable to parse label selector ${term}`);
}

function fieldMatcher(term: string): Matcher {
  const match = /^metadata\.(name|namespace)==?(.*)$/.exec(term);
  if (match === null) {
    throw badRequest(`field label not supported: ${term}`);
  }
  const [, field, value] = match;
  return (object) => (field === 'name' ? object.metadata.name : object.metadata.namespace) === value;
}
