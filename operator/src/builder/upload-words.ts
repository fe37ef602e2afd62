// Why `nix copy` could not upload, in plain words with a remedy.
import { errorSentence, withoutSecrets } from '../nix/error-words.ts';
import { lastWords } from '../nix/internal-log.ts';
import { BuildFailure } from './failure.ts';

/** What an upload ended with: the status of the last answer and what the server said, as far as Nix tells. */
type Answer = {
  readonly status: number;
  readonly said: string | undefined;
  readonly text: string;
  readonly crashed: boolean;
};

type Rule = {
  readonly applies: (answer: Answer) => boolean;
  /** What comes after "the cache URL ". */
  readonly error: string;
  readonly remedy: string;
  /** The same upload may succeed in a moment. */
  readonly passes?: boolean;
};

/** The first rule that applies decides. */
const RULES: readonly Rule[] = [
  {
    applies: ({ status, text }) =>
      status === 507 || /No space left on device|Disk quota exceeded|insufficient storage/i.test(text),
    error: 'is full',
    remedy: 'make room there, then reconcile again: what was uploaded stays',
  },
  {
    applies: ({ status, text }) => status === 401 || status === 403 || /Access ?Denied|Permission denied/.test(text),
    error: 'refused the upload',
    remedy: 'check the credentials of the cache, and that it lets this namespace write',
  },
  {
    applies: ({ status }) => status === 409,
    error: 'holds other content under the same path',
    remedy: 'reconcile again: the next build takes what the cache holds',
  },
  {
    applies: ({ status }) => status >= 500,
    error: 'failed',
    remedy: 'see the log of the cache',
    passes: true,
  },
  {
    applies: ({ status }) => status >= 400,
    error: 'refused the upload',
    remedy: 'check --cache-url',
  },
  {
    // Of several uploads at once one failed, and Nix 2.26 then trips over the others before it can say why.
    applies: ({ crashed }) => crashed,
    error: 'was left in the middle: Nix crashed',
    remedy: 'see the log of the Job',
    passes: true,
  },
  {
    applies: ({ text }) =>
      /resolve host|connect to|could(?:n't| not) connect|connection (?:refused|reset)|timed out|timeout was reached/i.test(
        text,
      ),
    error: "can't be reached",
    remedy: 'check that the cache runs and that pods of this namespace may connect to it',
    passes: true,
  },
];

/** An upload that failed, in words, and whether to try again. */
export type UploadFailure = { readonly failure: BuildFailure; readonly passes: boolean };

/** The server's own sentence, which Nix prints below "response body:". */
function responseBody(text: string): string | undefined {
  const bodies = [...text.matchAll(/response body:\s*([^\n]+)/g)].map((match) => match[1] ?? '');
  // The first is the cause: after it Nix says that its data is used up.
  const said = bodies
    .at(0)
    ?.replace(/; retrying in \d{1,9} ms[\s\S]*$/, '')
    .trim();
  return said === '' ? undefined : said;
}

/** Turns Nix' words into an error of the Job. `url` is the cache; `crashed`: a signal ended Nix. */
export function uploadFailure(stderr: string, url: string, { crashed = false } = {}): UploadFailure {
  const text = lastWords(stderr);
  const subject = `the cache ${withoutSecrets(url.split('?', 1)[0] ?? url)}`;
  const status = Number([...text.matchAll(/HTTP error (\d{3})/g)].at(0)?.[1] ?? 0);
  const answer = { status, said: responseBody(text), text, crashed };
  const rule = RULES.find((each) => each.applies(answer));
  const field = '--cache-url';
  if (rule === undefined) {
    const words = `the upload to ${subject.replace('the cache ', '')} failed: ${errorSentence(text)}`;
    return { failure: new BuildFailure(words, { field, remedy: 'see the log of the Job' }), passes: false };
  }
  const code = status === 0 ? '' : ` (HTTP ${status})`;
  const why = answer.said?.replace(/^the cache is full: /, '') ?? '';
  const words = `${subject} ${rule.error}${why === '' ? code : `: ${why}`}`;
  return { failure: new BuildFailure(words, { field, remedy: rule.remedy }), passes: rule.passes === true };
}
