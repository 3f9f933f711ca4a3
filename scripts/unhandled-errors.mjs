import { writeFileSync } from "node:fs";

/** A reporter of vitest: writes the errors that no test failed with to the file that BOXRUN_UNHANDLED names. The reporter for JSON leaves them out. */
export default class {
  onTestRunEnd(_modules, errors) {
    const texts = errors.map((error) => [error.name, error.message, error.stack].join("\n"));
    writeFileSync(process.env.BOXRUN_UNHANDLED, JSON.stringify(texts));
  }
}
