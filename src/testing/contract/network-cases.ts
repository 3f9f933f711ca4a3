import type { Context } from "./target.js";
import { failure } from "./tools.js";

export function networkCases(context: Context): void {
  const { it, expect } = context;

  it("has rules and a log for boxes with a network, or says that it has neither", async () => {
    const { box, client } = context;
    const hasNetwork = (await client.info()).capabilities.network === true;
    const error = await failure(box.network.update({ allow: [] }));
    if (hasNetwork && error.code !== "UNSUPPORTED") {
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      expect(error.message).toContain("was created without a network");
    } else {
      expect(error).toMatchObject({ code: "UNSUPPORTED" });
      expect(await failure(box.network.log())).toMatchObject({ code: "UNSUPPORTED" });
    }
    expect((await box.refresh()).network).toBe(false);
  });

  it("refuses rules that make no sense, by name", async () => {
    const error = await failure(context.box.network.update({ deny: ["pypi.org", "http://pypi.org"] }));
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toContain("network.deny[1]");
  });
}
