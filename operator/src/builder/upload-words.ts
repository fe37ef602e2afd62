// Why `nix copy` could not upload, in plain words with a remedy.
import { errorSentence, withoutSecrets } from '../nix/error-words.ts';
import { BuildFailure } from './failure.ts';

/** The answer's own sentence, which Nix prints below "response body:". */
function responseBody(text: string): string | undefined {
  const body = /response body:\s*([\s\S]*?)(?:\n\s*\n|\n\s*error:|\n@nix|$)/.exec(text)?.[1];
  const line = body?.trim().split('\n', 1)[0]?.trim();
  return line === '' ? undefined : line;
}

/** Turns Nix' words into an error of the Job. `url` is the cache. */
export function uploadFailure(text: string, url: string): BuildFailure {
  const shown = withoutSecrets(url.split('?', 1)[0] ?? url);
  const status = /HTTP error (\d{3})/.exec(text)?.[1];
  const said = responseBody(text);
  const field = '--cache-url';
  if (status === '507' || /No space left on device|Disk quota exceeded|insufficient storage/i.test(text)) {
    return new BuildFailure(
      `the cache ${shown} is full${said === undefined ? '' : `: ${said.replace(/^the cache is full: /, '')}`}`,
      {
        field,
        remedy: 'give the cache more room, then reconcile again: what was uploaded stays',
      },
    );
  }
  if (status === '401' || status === '403' || /AccessDenied|Access Denied/.test(text)) {
    return new BuildFailure(
      `the cache ${shown} refused the upload${said === undefined ? ` (${status ?? 'access denied'})` : `: ${said}`}`,
      {
        field,
        remedy: 'check the credentials of the cache, and that it lets this namespace write',
      },
    );
  }
  if (status === '409') {
    return new BuildFailure(
      `the cache ${shown} holds other content under the same path${said === undefined ? '' : `: ${said}`}`,
      {
        field,
        remedy: 'reconcile again: the next build takes what the cache holds',
      },
    );
  }
  if (status !== undefined && Number(status) < 500) {
    return new BuildFailure(
      `the cache ${shown} refused the upload (${status})${said === undefined ? '' : `: ${said}`}`,
      { field, remedy: 'check the URL of the cache' },
    );
  }
  if (status !== undefined) {
    return new BuildFailure(`the cache ${shown} failed (${status})${said === undefined ? '' : `: ${said}`}`, {
      field,
      remedy: 'see the log of the cache',
    });
  }
  const network =
    /Could not resolve host(?:name)?|Couldn't connect|Could not connect|Failed to connect|Connection refused|timed out|Timeout was reached/i.exec(
      text,
    )?.[0];
  if (network !== undefined) {
    return new BuildFailure(`the cache ${shown} can't be reached (${network.toLowerCase()})`, {
      field,
      remedy: 'check that the cache runs and that pods of this namespace may connect to it',
    });
  }
  return new BuildFailure(`the upload to ${shown} failed: ${errorSentence(text)}`, {
    field,
    remedy: 'see the log of the Job',
  });
}
