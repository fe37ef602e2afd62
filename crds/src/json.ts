// Reads text that should be JSON and may be anything.

/** The value that the text stands for; undefined where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
