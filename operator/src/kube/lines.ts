// Splits a stream of bytes into lines.

/** Longest line that is handed out whole, in bytes; a longer one comes in pieces. */
const LONGEST = 16 * 1024 * 1024;

/** The lines of a stream of UTF-8, without their ends; what follows the last line end is a line, too. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  longest: number = LONGEST,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  // Parts of a line that has not ended yet: joined once, so that a long line costs its length only.
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      parts.push(text.slice(start, end));
      yield withoutReturn(parts.join(''));
      parts = [];
      length = 0;
      start = end + 1;
    }
    parts.push(text.slice(start));
    length += text.length - start;
    if (length > longest) {
      yield parts.join('');
      parts = [];
      length = 0;
    }
  }
  const rest = parts.join('') + decoder.decode();
  if (rest !== '') {
    yield withoutReturn(rest);
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
