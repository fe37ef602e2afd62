// The name of a closure as people read it.

/** `/nix/store/<hash>-nixos-system-web-25.05` -> `nixos-system-web-25.05 (<first 7 of hash>)`. */
export function closureName(closure: string): string {
  const base = closure.split('/').at(-1) ?? closure;
  return /^[0-9a-z]{32}-./.test(base) ? `${base.slice(33)} (${base.slice(0, 7)})` : base;
}
