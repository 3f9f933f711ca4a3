import type { Signal } from "../../backend/backend.js";
import { invalid } from "../../backend/errors.js";

/** Signal numbers of Linux on x86, which the guest uses whatever the host is. */
const SIGNALS: Readonly<Record<Signal, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
};

/** Returns the number of a signal by its name. @throws {BoxRunError} VALIDATION_ERROR for an unknown name */
export function signalNumber(name: string): number {
  const number = Object.hasOwn(SIGNALS, name) ? SIGNALS[name as Signal] : undefined;
  if (number === undefined)
    throw invalid(`${JSON.stringify(name)} is not a signal`, 'use a name such as "SIGINT"');
  return number;
}
