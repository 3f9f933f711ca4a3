import { BoxRunClient } from "boxrun";
import { expect, it } from "vitest";
import { ANSWERS, editFiles, LIMIT_MS } from "../../pages/edits.js";

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });

it("carries an edit of the page to a program in the box, and its answer back, within 100 ms", async () => {
  const { answers, medianMs } = await editFiles();
  expect(answers).toEqual(ANSWERS);
  expect(medianMs).toBeLessThan(LIMIT_MS);
});

it("refuses a directory of the computer, and says what a page has instead", async () => {
  const volumes = [{ hostPath: "/home", guestPath: "/work" }];
  await expect(client.create("tiny", { volumes })).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("memoryVolume"),
  });
});
