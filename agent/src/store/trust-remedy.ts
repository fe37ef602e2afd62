// What to do where a closure is not signed by a key that the machine trusts: which keys count there, and where they are set.

/** The keys that count on the machine, and where they come from. */
export type TrustedKeys = {
  readonly keys: readonly string[];
  /** Whether the agent's own configuration names them, which then counts alone. */
  readonly own: boolean;
};

const OWN = 'services.floe-agent.trustedPublicKeys';
const NIX = 'nix.settings.trusted-public-keys';

/** One or two sentences: what is trusted, and the option that takes the key that signs. */
export function trustRemedy({ keys, own }: TrustedKeys): string {
  const names = keys.map((key) => key.split(':', 1)[0]).join(', ');
  const trusted = keys.length === 0 ? 'No key is trusted here.' : `Trusted here: ${names} (${own ? OWN : NIX}).`;
  const where = own ? OWN : `${OWN} or ${NIX}`;
  return `${trusted} Add the key that signs, status.cache.publicKey of the NixConfig, to ${where}.`;
}
