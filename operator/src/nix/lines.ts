// Cuts a stream of text into lines without holding more than one line of bounded length.

/** Feeds complete lines to `onLine`. Of a line that is longer than `maxLength` only its beginning is kept. */
export class Lines {
  readonly #onLine: (line: string) => void;
  readonly #maxLength: number;
  #begun = '';

  constructor(onLine: (line: string) => void, maxLength: number) {
    this.#onLine = onLine;
    this.#maxLength = maxLength;
  }

  /** Takes the next piece of the stream. */
  add(piece: string): void {
    let from = 0;
    for (let at = piece.indexOf('\n'); at !== -1; at = piece.indexOf('\n', from)) {
      this.#keep(piece.slice(from, at));
      this.#complete();
      from = at + 1;
    }
    this.#keep(piece.slice(from));
  }

  /** The stream has ended: a line that has begun is complete. */
  end(): void {
    if (this.#begun !== '') this.#complete();
  }

  #complete(): void {
    const line = this.#begun;
    this.#begun = '';
    this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
  }

  #keep(text: string): void {
    const room = this.#maxLength - this.#begun.length;
    if (room > 0) this.#begun += text.length > room ? text.slice(0, room) : text;
  }
}
