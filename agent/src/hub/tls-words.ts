// Says in words what is wrong with the hub's certificate, and what to do.

const NOT_TRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

/** The sentence for an error of a TLS connection to `host`; undefined where it is another error. */
export function tlsWords(error: unknown, { host, now }: { host: string; now: Date }): string | undefined {
  const { code = '' } = error instanceof Error ? (error as { code?: string }) : {};
  const clock = `${now.toISOString().slice(0, 19)}Z`;
  if (code === 'CERT_NOT_YET_VALID') {
    return `the certificate of ${host} is not valid yet: the clock of this machine says ${clock}; set it (timedatectl), or wait where it is right`;
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return `the certificate of ${host} has expired: the clock of this machine says ${clock}; renew the certificate, or set the clock where it is wrong`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `the certificate of the hub does not name ${host}: add it to tls.names (a name) or tls.addresses (an address) of the chart, or dial a name that is in it${namesOf(error)}`;
  }
  if (NOT_TRUSTED.has(code)) {
    return `the certificate of ${host} is not signed by a CA that this machine trusts: put the text of ca.crt in the ConfigMap floe-hub-ca into services.floe-agent.caCertificate, or find out what answers at that address`;
  }
  return undefined;
}

function namesOf(error: unknown): string {
  const { cert } = error as { cert?: { subjectaltname?: string } };
  const names = (cert?.subjectaltname ?? '').split(', ').filter((name) => name !== '');
  return names.length === 0 ? '' : ` (${names.slice(0, 8).join(', ')})`;
}
