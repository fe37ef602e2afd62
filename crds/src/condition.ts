// The language of conditions in an analysis, `result[0] < 0.01 && len(result) > 0`: its syntax and its tree.

/** A parsed condition. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: number | string | boolean | null }
  /** What was measured. */
  | { readonly kind: 'result' }
  | { readonly kind: 'index'; readonly of: Expression; readonly at: Expression }
  | { readonly kind: 'not' | 'minus'; readonly of: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly args: readonly Expression[] };

/** Binary operators, weakest first; those in one row bind alike. */
const LEVELS = [['||'], ['&&'], ['==', '!=', '<', '<=', '>', '>='], ['+', '-'], ['*', '/', '%']] as const;
export type BinaryOperator = (typeof LEVELS)[number][number];

/** Functions with the number of their arguments. */
const FUNCTIONS = { len: 1, isNaN: 1, number: 1, abs: 1, min: 1, max: 1, sum: 1, avg: 1, default: 2 } as const;
export type FunctionName = keyof typeof FUNCTIONS;

export type ParsedCondition =
  | { readonly ok: true; readonly expression: Expression }
  /** `position` counts characters from 1. */
  | { readonly ok: false; readonly position: number; readonly message: string };

/** Characters of a condition at most. */
const LONGEST = 1024;
/** How deep parentheses, brackets and signs may be nested. */
const DEEPEST = 40;
const COMPARISONS = 2;

type Token = {
  readonly kind: 'number' | 'text' | 'name' | 'sign' | 'end';
  readonly text: string;
  readonly position: number;
};

class SyntaxProblem extends Error {
  readonly position: number;
  constructor(position: number, message: string) {
    super(message);
    this.position = position;
  }
}

/** Parses a condition; never throws. */
export function parseCondition(text: string): ParsedCondition {
  if (text.length > LONGEST) {
    return { ok: false, position: LONGEST, message: `longer than ${LONGEST} characters` };
  }
  try {
    const reader = new Reader(tokensOf(text));
    const expression = reader.level(0);
    reader.end();
    return { ok: true, expression };
  } catch (error) {
    if (error instanceof SyntaxProblem) return { ok: false, position: error.position, message: error.message };
    throw error;
  }
}

const TOKEN =
  /\s+|(?<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<sign>\|\||&&|==|!=|<=|>=|[<>+\-*/%!()[\],.])/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let index = 0;
  while (index < text.length) {
    TOKEN.lastIndex = index;
    const match = TOKEN.exec(text);
    if (match === null) throw new SyntaxProblem(index + 1, unknownText(text, index));
    const position = index + 1;
    for (const kind of ['number', 'text', 'name', 'sign'] as const) {
      const found = match.groups?.[kind];
      if (found === undefined) continue;
      const word = kind === 'name' ? WORDS.get(found) : undefined;
      tokens.push(word === undefined ? { kind, text: found, position } : { kind: 'sign', text: word, position });
    }
    index = TOKEN.lastIndex;
  }
  return [...tokens, { kind: 'end', text: '', position: text.length + 1 }];
}

/** Operators that may be written as words. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['and', '&&'],
  ['or', '||'],
  ['not', 'not'],
]);

function unknownText(text: string, index: number): string {
  const found = text[index] ?? '';
  if (found === '"' || found === "'") return 'the text has no end; close its quotes';
  if (found === '=') return 'use == to compare';
  if (found === '&' || found === '|') return `use ${found}${found}`;
  return `${JSON.stringify(found)} is not understood`;
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Binary operators of a level and of those that bind closer. */
  level(level: number): Expression {
    const operators: readonly string[] | undefined = LEVELS[level];
    if (operators === undefined) return this.#signed();
    // As a word it binds weaker than comparisons: `not a < b` is `not (a < b)`.
    if (level === COMPARISONS && this.#takes('not')) return { kind: 'not', of: this.#deeper(() => this.level(level)) };
    let left = this.level(level + 1);
    for (let seen = 0; this.#isSign && operators.includes(this.#token.text); seen++) {
      if (level === COMPARISONS && seen > 0) this.#fail('comparisons do not chain; join them with &&');
      const operator = this.#next().text as BinaryOperator;
      left = { kind: 'binary', operator, left, right: this.level(level + 1) };
    }
    return left;
  }

  end(): void {
    if (this.#token.kind !== 'end') this.#fail(`an operator is expected before ${shown(this.#token)}`);
  }

  get #token(): Token {
    return this.#tokens[this.#at] as Token;
  }

  get #isSign(): boolean {
    return this.#token.kind === 'sign';
  }

  #next(): Token {
    const token = this.#token;
    if (token.kind !== 'end') this.#at += 1;
    return token;
  }

  #takes(sign: string): boolean {
    if (!this.#isSign || this.#token.text !== sign) return false;
    this.#next();
    return true;
  }

  #expect(sign: string): void {
    if (!this.#takes(sign)) this.#fail(`${sign} is expected${this.#instead()}`);
  }

  #instead(): string {
    return this.#token.kind === 'end' ? ' at the end' : ` before ${shown(this.#token)}`;
  }

  #fail(message: string, position = this.#token.position): never {
    throw new SyntaxProblem(position, message);
  }

  /** Bounds the depth of the tree, and with it what parsing and evaluating take. */
  #deeper<T>(read: () => T): T {
    if (this.#depth >= DEEPEST) this.#fail('nested too deeply');
    this.#depth += 1;
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #signed(): Expression {
    if (this.#takes('!')) return { kind: 'not', of: this.#deeper(() => this.#signed()) };
    if (this.#takes('-')) return { kind: 'minus', of: this.#deeper(() => this.#signed()) };
    return this.#accessed();
  }

  #accessed(): Expression {
    let value = this.#simple();
    for (;;) {
      if (this.#takes('[')) {
        const at = this.#deeper(() => this.level(0));
        this.#expect(']');
        value = { kind: 'index', of: value, at };
      } else if (this.#takes('.')) {
        const field = this.#next();
        if (field.kind !== 'name') this.#fail('the name of a field is expected after "."', field.position);
        value = { kind: 'index', of: value, at: { kind: 'literal', value: field.text } };
      } else return value;
    }
  }

  #simple(): Expression {
    const token = this.#token;
    if (this.#takes('(')) {
      const inner = this.#deeper(() => this.level(0));
      this.#expect(')');
      return inner;
    }
    if (token.kind === 'end') this.#fail('a value is expected at the end');
    if (token.kind === 'sign') this.#fail(`a value is expected before ${shown(token)}`);
    this.#next();
    if (token.kind === 'number') return { kind: 'literal', value: Number(token.text) };
    if (token.kind === 'text') return { kind: 'literal', value: unquoted(token.text) };
    return this.#named(token);
  }

  #named({ text, position }: Token): Expression {
    if (text === 'result') return { kind: 'result' };
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
    if (text === 'null') return { kind: 'literal', value: null };
    if (!Object.hasOwn(FUNCTIONS, text)) {
      this.#fail(`${shown({ text })} is not known; use result, or ${Object.keys(FUNCTIONS).join(', ')}`, position);
    }
    const name = text as FunctionName;
    this.#expect('(');
    const args = [this.#deeper(() => this.level(0))];
    while (this.#takes(',')) args.push(this.#deeper(() => this.level(0)));
    this.#expect(')');
    if (args.length !== FUNCTIONS[name]) {
      this.#fail(`${name} takes ${FUNCTIONS[name]} ${FUNCTIONS[name] === 1 ? 'value' : 'values'}`, position);
    }
    return { kind: 'call', name, args };
  }
}

function shown({ text }: Pick<Token, 'text'>): string {
  return JSON.stringify(text.length > 24 ? `${text.slice(0, 24)}…` : text);
}

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/gs, '$1');
}
