/** Place in a shell command, as far as it matters to a word that is put there. "unclear": it cannot be told for all shells. */
export type ShellPlace =
  | "word"
  | "quotes"
  | "arithmetic"
  | "comment"
  | "here-document"
  | "dollar"
  | "unclear";

/** Tokens between words, by what is open. */
const TOKENS: Readonly<Record<string, RegExp>> = {
  "'": /[^']+|'/y,
  '"': /\\.|\$\(\(?|"|./sy,
  "#": /[^\n]+|\n/y,
  "<<": /.+/sy,
  "?": /.+/sy,
};
const PLAIN = /\\.|\$\(\(?|\$'|<<<|<<-?|case(?=\s)|./sy;
const DELIMITER = /[ \t]*(?:'([^'\n]*)'|"([^"\n]*)"|\\?([^\s;&|<>()'"\\]+))(?=[\s;&|<>()])/y;
const PLACES: Readonly<Record<string, ShellPlace>> = {
  "'": "quotes",
  '"': "quotes",
  "((": "arithmetic",
  "#": "comment",
  "<<": "here-document",
  "?": "unclear",
};

/** A here-document that has been announced. Its delimiter is undefined if it cannot be told. */
interface HereDocument {
  delimiter: string | undefined;
  dropsTabs: boolean;
  /** Number of quotes and brackets that were open. */
  depth: number;
}

/**
 * Reads a shell command piece by piece and tells the place at the end of each. It knows quotes, substitutions, comments and here-documents; where it gives up,
 * the place is "unclear" from then on. It knows no parameters in braces: in a template, these are values.
 */
export class ShellScanner {
  /** Open quotes and brackets, the innermost last: a key of {@link TOKENS}, "(", or "((" for each parenthesis of an arithmetic expansion. */
  private readonly open: string[] = [];
  /** Here-documents whose text begins with the next line. */
  private announced: HereDocument[] = [];
  /** Token that was read last. */
  private last = "\n";

  /** Place of a word that would come next. */
  get place(): ShellPlace {
    const place = PLACES[this.top] ?? "word";
    return (place === "word" || place === "arithmetic") && this.last === "$" ? "dollar" : place;
  }

  /** Whether what comes next begins a word. */
  get isBetweenWords(): boolean {
    return /^[^\\]*[\s;&|<>()]$/.test(this.last);
  }

  /** Reads a piece of the command. */
  read(text: string): void {
    for (let at = 0; at < text.length; ) {
      const token = matchAt(TOKENS[this.top] ?? PLAIN, text, at)?.[0] ?? "";
      at += token.length;
      at = this.accept(token, text, at);
      // The shell drops the two before it looks for words.
      if (token !== "\\\n") this.last = token;
    }
  }

  /** Reads a word that is quoted. */
  readWord(): void {
    this.last = "'";
  }

  private get top(): string {
    return this.open.at(-1) ?? "";
  }

  /** Returns where the next token begins. */
  private accept(token: string, text: string, at: number): number {
    const { top } = this;
    // The shell drops it before it looks for tokens, and may find one that goes over it.
    if (token === "\\\n" && !(top === '"' ? this.last !== "$" : /^[\s;&|]$/.test(this.last)))
      this.open.push("?");
    if (token === "\n" && PLACES[top] !== "quotes") return this.endLine(text, at);
    if (top === "'" || top === '"') this.acceptQuoted(token, top);
    else if (top === "" || top === "(" || top === "((") {
      if (/^<<-?$/.test(token) && top !== "((") this.announce(token, text, at);
      else this.acceptPlain(token, top);
    }
    return at;
  }

  private acceptQuoted(token: string, quote: string): void {
    if (token === quote) this.open.pop();
    else if (quote === '"') this.openSubstitution(token);
  }

  private acceptPlain(token: string, top: string): void {
    if (token === "'" || token === '"') this.open.push(token);
    else if (token === "(") this.open.push(top === "((" ? "((" : "(");
    else if (token === ")") this.open.pop();
    else if (token === "#" && this.isBetweenWords && top !== "((") this.open.push("#");
    // Shells differ in whether $'...' has escapes; and the patterns of `case` end with a parenthesis that need not have been opened.
    else if (token === "$'" || (token === "case" && this.isBetweenWords && top !== "")) this.open.push("?");
    else this.openSubstitution(token);
  }

  private openSubstitution(token: string): void {
    if (token === "$(") this.open.push("(");
    // Each of the two is closed by itself.
    if (token === "$((") this.open.push("((", "((");
  }

  private announce(token: string, text: string, at: number): void {
    const [, single, double, bare] = matchAt(DELIMITER, text, at) ?? [];
    this.announced.push({
      delimiter: single ?? double ?? bare,
      dropsTabs: token === "<<-",
      depth: this.open.length,
    });
  }

  /** Ends a comment, and skips the here-documents that begin after a line. Returns where the command goes on. */
  private endLine(text: string, at: number): number {
    if (this.top === "#") this.open.pop();
    // Shells differ in where the text of a document begins that was announced outside of these brackets.
    if (this.announced.some(({ depth }) => depth < this.open.length)) this.open.push("?");
    let next: number | undefined = at;
    for (const document of this.announced) {
      next = endOfDocument(document, text, next);
      if (next !== undefined) continue;
      this.open.push("<<");
      break;
    }
    this.announced = [];
    return next ?? text.length;
  }
}

/** Returns where the line after a here-document begins; undefined if the text has not all of it. */
function endOfDocument(
  { delimiter, dropsTabs }: HereDocument,
  text: string,
  from: number,
): number | undefined {
  for (let at = from; ; ) {
    const end = text.indexOf("\n", at);
    if (end < 0) return undefined;
    const line = text.slice(at, end);
    if ((dropsTabs ? line.replace(/^\t+/, "") : line) === delimiter) return end + 1;
    at = end + 1;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
