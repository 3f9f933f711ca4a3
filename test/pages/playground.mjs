/** A page of test/runtimes that edits files as a playground does, and reports how that went. */
import { editFiles } from "./edits.ts";

const report = await editFiles().catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
