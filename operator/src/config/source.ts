// What the source of a NixConfig resolves to, and how resolving fails.

/** A source at a moment: the exact content that a build would use. */
export type ResolvedSource = {
  /** What tells this content from another; part of the revision's id. */
  readonly identity: unknown;
  /** For people: `main@91ffe02`, `inline@5b1c9d8`. */
  readonly display: string;
  /** Locked flake reference; undefined for inline files. */
  readonly locked: string | undefined;
  /** The source as the build request has it. */
  readonly request:
    | { readonly kind: 'flake'; readonly ref: string }
    | { readonly kind: 'inline'; readonly files: Readonly<Record<string, string>> };
};

/** Why something that a person gave can't be used: what, where, and what to do. */
export type Problem = {
  /** One word in CamelCase for programs. */
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
  readonly remedy?: string;
  /** Whether the same input may work later by itself: a server that is away, a Secret that is not there yet. */
  readonly transient: boolean;
};

export type Resolution =
  | { readonly kind: 'resolved'; readonly source: ResolvedSource }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** One sentence for a condition: the field first, then what is wrong, then the remedy. */
export function problemSentence({ field, message, remedy }: Problem): string {
  const what = field === undefined ? message : `${field}: ${message}`;
  return remedy === undefined ? what : `${what}; ${remedy}`;
}
