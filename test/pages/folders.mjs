/** A page of test/runtimes that uses a folder of its own as a volume, and reports what it should not have seen. */
import { useFolder } from "./folders.ts";

const report = await useFolder().catch((error) => ({ error: String(error?.stack ?? error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });
