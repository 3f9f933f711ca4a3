/** For tests: the contract of all backends, as cases for your test runner, and a backend without machines. */
export type { Cases, Expect, Matchers, Runner } from "./testing/contract/runner.js";
export { contractSuite } from "./testing/contract/suite.js";
export type { Context, Target } from "./testing/contract/target.js";
export { FakeBackend, type FakeOptions } from "./testing/fake-backend.js";
export type { FakeFiles, FakeProcess, FakeProgram } from "./testing/fake-execution.js";
export type { FakeServer, FakeServers, FakeSocket } from "./testing/fake-ports.js";
