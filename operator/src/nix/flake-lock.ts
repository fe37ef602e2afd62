// Whether a flake.lock can be read at all, in words of its own: Nix tells the place in a JSON parser's words and not the file.

/** What is wrong, and what to do. */
export type LockFault = { readonly message: string; readonly remedy: string };

/** The marks that git leaves in a file until a person has resolved its conflict. */
const MARKS = /^(?:<<<<<<<|=======|>>>>>>>)/;

/** What is wrong with the text of a flake.lock; undefined where it is JSON, whatever it says. */
export function lockFault(text: string): LockFault | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch {
    const line = text.split('\n').findIndex((each) => MARKS.test(each));
    if (line === -1) {
      return { message: 'flake.lock is not JSON', remedy: 'run nix flake lock, which writes it again, and commit it' };
    }
    return {
      message: `flake.lock is not JSON (line ${line + 1}): it holds the marks of an unresolved merge`,
      remedy: 'resolve the merge, run nix flake lock and commit flake.lock',
    };
  }
}
