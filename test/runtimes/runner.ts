import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";
import type { Expect, Runner } from "boxrun/testing";
import type { Message } from "./messages.js";

/** Of one case, and of what is done before or after all of them. Twice what Vitest's own get: two runtimes share the machine. */
const LIMIT_MS = 120_000;

type Work = () => Promise<void>;

/**
 * A test runner for runtimes that have none: cases in order, one after the other, each with a time limit and a result. What is to be done before and after belongs to the whole run,
 * whichever group it is said in.
 */
export class SmallRunner implements Runner {
  readonly expect = makeExpect();
  private readonly cases: { name: string[]; body: Work }[] = [];
  private readonly before: Work[] = [];
  private readonly after: Work[] = [];
  private groups: string[] = [];
  private readonly found = new Set<string>();

  /** Declares and runs only what is in `only`: names of groups, at any depth. By default, everything. */
  constructor(private readonly only?: readonly string[]) {}

  describe = (name: string, body: () => void): void => {
    const outer = this.groups;
    this.groups = [...outer, name];
    this.found.add(name);
    body();
    this.groups = outer;
  };
  it = (name: string, body: Work): void => {
    const chosen = this.only?.some((group) => this.groups.includes(group)) ?? true;
    if (chosen) this.cases.push({ name: [...this.groups, name], body });
  };
  beforeAll = (body: Work): void => {
    this.before.push(body);
  };
  afterAll = (body: Work): void => {
    this.after.push(body);
  };

  /** Runs all that was declared. What fails is reported. Throws when there is no group of a name in `only`. */
  async run(report: (message: Message) => Promise<void>): Promise<void> {
    const unknown = this.only?.filter((group) => !this.found.has(group)) ?? [];
    if (unknown.length > 0) throw new Error(`there are no groups of these names: ${unknown.join(", ")}`);
    await report({ type: "cases", cases: this.cases.map(({ name }) => name) });
    const unprepared = await failureOfAll(this.before);
    for (const [index, { body }] of this.cases.entries()) {
      const error = unprepared ?? (await failureOf(body));
      await report({ type: "result", index, ...(error !== undefined && { error }) });
    }
    const error = await failureOfAll(this.after);
    await report({ type: "end", ...(error !== undefined && { error }) });
  }
}

async function failureOfAll(works: readonly Work[]): Promise<string | undefined> {
  let first: string | undefined;
  for (const work of works) {
    const failure = await failureOf(work);
    first ??= failure;
  }
  return first;
}

async function failureOf(work: Work): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`still not done after ${LIMIT_MS / 1000} s`), LIMIT_MS);
  });
  const done = (async () => work())().then(() => undefined, describeError);
  const failure = await Promise.race([done, limit]);
  clearTimeout(timer);
  return failure;
}

/** With the message first, which not every engine's stack has. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  const { name, message, stack = "", cause } = error;
  const why = cause === undefined ? "" : `\ncaused by ${describeError(cause)}`;
  return `${name}: ${message}\n${stack.includes(message) ? stack.slice(stack.indexOf(message) + message.length) : stack}${why}`;
}

function makeExpect(): Expect {
  chai.use(JestExtend);
  chai.use(JestChaiExpect);
  chai.use(JestAsymmetricMatchers);
  return chai.expect as unknown as Expect;
}
