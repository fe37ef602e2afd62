// Which substituters the agent fetches from: those it is told, as far as they are fit, then its own.

const SCHEMES: ReadonlySet<string> = new Set(['http:', 'https:', 's3:', 'file:', 'ssh-ng:']);

/** Why a substituter that the hub named is not used; undefined when it is. */
export function substituterFault(url: string): string | undefined {
  if (/\s/.test(url)) return 'it contains white space';
  if (!URL.canParse(url)) return 'it is no URL';
  const { protocol, searchParams } = new URL(url);
  if (!SCHEMES.has(protocol)) return `its scheme is none of ${[...SCHEMES].map((one) => one.slice(0, -1)).join(', ')}`;
  // Nix would take unsigned paths from it. They would be refused later, but they should not get into the store.
  if (searchParams.has('trusted')) return 'it asks to be trusted without signatures';
  return undefined;
}
