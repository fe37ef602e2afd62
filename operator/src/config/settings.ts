// What the NixConfig reconciler needs to know of its installation.

/** A further substituter of build Jobs, with the keys that sign there. */
export type Substituter = { url: string; publicKeys: string[] };

export type ConfigSettings = {
  /** Image of build Jobs: the one that the operator runs from. */
  readonly image: string;
  readonly imagePullPolicy: string;
  /** Store URL that build Jobs push to, with `{namespace}`. */
  readonly cacheUrl: string;
  /** URL that machines and build Jobs fetch from, with `{namespace}`. */
  readonly cacheSubstituter: string;
  readonly substituters: readonly Substituter[];
  /** Where build Jobs report, `https://…/v1/builds`. */
  readonly reportUrl: string;
  /** PEM text of the CA that build Jobs check that server with; undefined: the system's. */
  readonly reportCa: string | undefined;
  /** Volumes for a `file://` cache, as in a Pod: written in `push`, read-only elsewhere. */
  readonly buildVolumes: { readonly volumes: readonly unknown[]; readonly volumeMounts: readonly unknown[] };
  /** Service account of build Jobs; undefined: the namespace's default. */
  readonly buildServiceAccount: string | undefined;
  /** Directory for private temporary files of `git` and `nix`; undefined: the system's. */
  readonly workDir?: string;
  /** Keys reconciled at once; 4 where nothing is said. */
  readonly workers?: number;
  /** Sources looked at once; 16 where nothing is said. */
  readonly resolvers?: number;
};

/** Puts the namespace into a URL of the settings. */
export function forNamespace(template: string, namespace: string): string {
  return template.replaceAll('{namespace}', namespace);
}
