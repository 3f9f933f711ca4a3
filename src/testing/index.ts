/** For tests: what every backend must do, as cases of your test runner; and a backend without machines. */
export type { Cases, Expect, Matchers, Runner } from "./contract/runner.js";
export { contractSuite } from "./contract/suite.js";
export type { Context, Target } from "./contract/target.js";
export { FakeBackend, type FakeOptions } from "./fake-backend.js";
export type { FakeFiles, FakeProcess, FakeProgram } from "./fake-execution.js";
