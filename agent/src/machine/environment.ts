// The environment that a transient unit needs of the agent's own: systemd gives it next to nothing.

const CARRIED =
  /^(PATH|LOCALE_ARCHIVE|LANG|LC_[A-Z]+|TZDIR|HOME|NIX_[A-Z_]+|NIXOS_[A-Z_]+|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|FLOE_[A-Z_]+)$/;

/** Options of systemd-run that pass on what a switch or a rescue needs. */
export function carriedEnvironment(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    CARRIED.test(name) && value !== undefined ? [`--setenv=${name}=${value}`] : [],
  );
}
