// Times as Leases and Events write them.

/** RFC 3339 with six digits of fraction, as Kubernetes' MicroTime insists on. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
