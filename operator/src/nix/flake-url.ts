// A locked source as Nix describes it (attributes), and the flake reference that says the same in one line.

/** Attributes of a fetched tree, as `locked` in flake.lock holds them. */
export type SourceAttributes = Readonly<Record<string, string | number | boolean>>;

/** Whether a value of unknown origin is such a set. */
export function isSourceAttributes(value: unknown): value is SourceAttributes {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const scalar = (part: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof part);
  return typeof (value as SourceAttributes)['type'] === 'string' && Object.values(value).every(scalar);
}

/** Attributes that are in the path of the reference, or that only say when the commit was made. */
const SHOWN_ELSEWHERE = new Set([
  'type',
  'url',
  'path',
  'owner',
  'repo',
  'lastModified',
  'revCount',
  'treeHash',
  '__final',
]);

function query(attributes: SourceAttributes, without: readonly string[]): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(attributes)) {
    // Nix reads only 1 as yes.
    const text = typeof value === 'boolean' ? String(Number(value)) : String(value);
    if (!SHOWN_ELSEWHERE.has(name) && !without.includes(name)) params.set(name, text);
  }
  // A slash needs no escape here, and a folder reads better with it.
  const text = params.toString().replaceAll('%2F', '/');
  return text === '' ? '' : `?${text}`;
}

/**
 * `keepRef`: with the branch beside the commit, which a server may want to know where to look for it.
 * `{type: "git", url: "https://…", rev: "…"}` -> `git+https://…?rev=…`. Unknown types keep the form `type:url`.
 */
export function flakeUrl(attributes: SourceAttributes, { keepRef = false } = {}): string {
  const type = String(attributes['type']);
  const url = String(attributes['url'] ?? attributes['path'] ?? '');
  switch (type) {
    case 'github':
    case 'gitlab':
    case 'sourcehut': {
      const rev = attributes['rev'] ?? attributes['ref'];
      const base = `${type}:${attributes['owner']}/${attributes['repo']}${rev === undefined ? '' : `/${rev}`}`;
      return `${base}${query(attributes, ['rev', 'ref', 'narHash'])}`;
    }
    case 'git':
    case 'hg':
      // The commit says what it is; the branch and the hash of the tree would only make it longer.
      return `${type}+${url}${query(attributes, attributes['rev'] === undefined || keepRef ? ['narHash'] : ['ref', 'narHash'])}`;
    case 'tarball':
    case 'file':
      return `${url}${url.includes('?') ? query(attributes, []).replace('?', '&') : query(attributes, [])}`;
    default:
      return `${type}:${url}${query(attributes, [])}`;
  }
}
