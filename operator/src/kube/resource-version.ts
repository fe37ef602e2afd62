// The order of resource versions.

const NUMBER = /^(0|[1-9][0-9]*)$/;

/**
 * Compares two resource versions of one kind as the numbers that they are: negative when `a` is older, 0 when equal.
 * Undefined when either is missing or is not a number; such versions have no order.
 */
export function compareVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !NUMBER.test(a) || !NUMBER.test(b)) {
    return undefined;
  }
  // They outgrow what a double holds exactly, so they are compared as digits.
  if (a.length !== b.length) {
    return a.length - b.length;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
