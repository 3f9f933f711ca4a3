import { untilAborted } from "../../util/abort.js";
import { type Deferred, deferred } from "../../util/deferred.js";

/** Number of lookups at once. Node does them on the few threads that its file system uses, too. */
const MAX_RUNNING = 2;
/** Number of names that may wait for their turn. */
const MAX_WAITING = 64;

/** Finds the addresses of a name. Rejects with an error whose `code` is ENOTFOUND when it has none. */
export type Lookup = (name: string) => Promise<string[]>;

interface Question {
  name: string;
  answer: Deferred<string[]>;
  /** Number of callers that wait for the answer. */
  askers: number;
}

/**
 * Lookups by turns. One that has begun cannot be ended, so it has its turn until it settles, though nobody waits for it any more: a box must not get more of them by giving them up. Callers
 * that ask for the same name at once share a lookup. An answer is not kept.
 */
export class Lookups {
  private readonly questions = new Map<string, Question>();
  private readonly waiting = new Set<Question>();
  private running = 0;

  constructor(private readonly lookup: Lookup) {}

  /** Finds the addresses of a name. Rejects with the signal's reason, as the lookup does, and when too many names wait. */
  async find(name: string, signal: AbortSignal): Promise<string[]> {
    signal.throwIfAborted();
    const question = this.questions.get(name) ?? this.add(name);
    question.askers++;
    try {
      return await untilAborted(question.answer.promise, signal);
    } finally {
      question.askers--;
      if (question.askers === 0 && this.waiting.delete(question)) this.questions.delete(name);
    }
  }

  private add(name: string): Question {
    if (this.waiting.size >= MAX_WAITING) throw new Error(`${MAX_WAITING} names wait to be looked up`);
    const question = { name, answer: deferred<string[]>(), askers: 0 };
    this.questions.set(name, question);
    this.waiting.add(question);
    this.takeTurns();
    return question;
  }

  private takeTurns(): void {
    for (const question of this.waiting) {
      if (this.running >= MAX_RUNNING) return;
      this.waiting.delete(question);
      void this.run(question);
    }
  }

  private async run({ name, answer }: Question): Promise<void> {
    this.running++;
    try {
      answer.resolve(await this.lookup(name));
    } catch (error) {
      answer.reject(error);
    }
    this.running--;
    this.questions.delete(name);
    this.takeTurns();
  }
}
