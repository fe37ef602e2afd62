// Writes moments as the API has them: RFC 3339 in UTC.

/** Cut to whole seconds, as Kubernetes writes times. A number is ms since 1970. */
export function rfc3339(moment: Date | number): string {
  return `${new Date(moment).toISOString().slice(0, 19)}Z`;
}

/** With milliseconds where there are any, so that reading it gives `ms` (since 1970) again. */
export function rfc3339Exact(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
