import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { usePlayground } from "./playground-page.js";

describe("the playground", () => {
  const playground = usePlayground();
  const message = (said: RegExp) => playground.page.locator("#message").filter({ hasText: said }).waitFor();

  it("opens with a program that runs at once, by the keyboard alone", async () => {
    const { page } = playground;
    expect(await page.locator("#project option").allTextContents()).toEqual(["JavaScript"]);
    await page.locator(".cm-content:focus").waitFor();
    await page.keyboard.press("Control+Enter");
    await playground.last.getByText("exit code 0").waitFor();
    expect(await playground.last.locator(".stdout").textContent()).toMatch(/^box +████ 4\n/);
    expect(await page.locator("#said").textContent()).toContain("exit code 0");
    expect(await page.locator("#box-state").textContent()).toBe("tiny: running");
    expect(await page.locator("#progress").isVisible()).toBe(false);
  });

  it("has what was typed in the box before a program runs, indented as it is typed", async () => {
    const { page } = playground;
    await playground.write("");
    await page.keyboard.type("if (true) {\n", { delay: 5 });
    await page.keyboard.type("console.log(6 * 7);");
    await page.keyboard.press("Control+Enter");
    await playground.last.getByText("42").waitFor();
    expect(await playground.outputOf("cat main.js")).toMatch(
      /^if \(true\) \{\n {2}console\.log\(6 \* 7\);\n\}$/,
    );
    // Escape, and then Tab, is the way out of the editor.
    await page.locator(".cm-content").focus();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    await page.locator(".cm-content:not(:focus)").waitFor();
  });

  it("shows what programs write: in the list, and in the editor", async () => {
    const { page } = playground;
    await playground.type("mkdir -p out/deep; echo new > out/deep/made.txt; echo '// by the box' > main.js");
    await playground.editor.getByText("// by the box").waitFor();
    await playground.openFile("made.txt");
    expect(await page.locator("#editor-path").textContent()).toBe("out/deep/made.txt");
    // Arrow keys walk through the list, and Enter closes a directory.
    await page.locator("#file-list").getByRole("button", { name: "out" }).focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("[data-path='/out/deep/made.txt']").count()).toBe(0);
    await page.keyboard.press("ArrowDown");
    await page.locator("[data-path='/main.js']:focus").waitFor();
    await playground.type("rm -r out");
    await page.locator("[data-path='/out']").waitFor({ state: "detached" });
  });

  it("makes, renames, takes in, gives out and deletes files", async () => {
    const { page } = playground;
    const name = async (button: string, path: string) => {
      await page.locator(button).click();
      await page.locator("#name").fill(path);
      await page.locator("#name").press("Enter");
    };
    await name("#new-file", "lib/a.js");
    await page.locator("#editor-path").getByText("lib/a.js", { exact: true }).waitFor();
    await playground.write("export const a = 1;");
    await name("#new-file", "main.js");
    await message(/main\.js exists already/);
    await page.locator("#name").press("Escape");
    await name("#rename-file", "lib/b.js");
    await page.locator("#editor-path").getByText("lib/b.js", { exact: true }).waitFor();
    expect(await playground.outputOf("ls lib; cat lib/b.js")).toBe("b.js\nexport const a = 1;");

    const bytes = Buffer.from([0, 255, 10, 13, 65]);
    await page.locator("#upload").setInputFiles({ name: "in put.bin", mimeType: "", buffer: bytes });
    await page.locator("[data-path='/in put.bin']").waitFor();
    expect(await playground.outputOf("wc -c < 'in put.bin'")).toBe("5\n");
    await page.locator("[data-path='/in put.bin']").click();
    await message(/in put\.bin is not text/);
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
    expect(download.suggestedFilename()).toBe("b.js");
    expect(readFileSync((await download.path())!, "utf8")).toBe("export const a = 1;");
    await page.locator("#menu").click();
    const [all] = await Promise.all([page.waitForEvent("download"), page.locator("#download-all").click()]);
    expect(readFileSync((await all.path())!).includes("export const a = 1;")).toBe(true);
    await page.keyboard.press("Escape");

    await page.locator("#remove-file").click();
    await page.getByRole("button", { name: "Delete it?" }).click();
    await page.locator("[data-path='/lib/b.js']").waitFor({ state: "detached" });
    expect(await playground.outputOf("ls lib")).toBe("");
  });

  it("refuses what is too large to edit, and says what is not kept", async () => {
    await playground.type(
      "dd if=/dev/zero bs=64k count=20 2> /dev/null | tr '\\0' 1 > numbers.txt; ln -s main.js link.js",
    );
    await message(/link\.js is there until this page closes, and is not kept/);
    await playground.page.locator("[data-path='/numbers.txt']").click();
    await message(/numbers\.txt is too large to edit here/);
    expect(await playground.outputOf("rm numbers.txt link.js; ls")).not.toContain("numbers");
  });

  it("keeps projects, each with its files and its box, over reloads", async () => {
    const { page } = playground;
    await playground.outputOf("echo on disk > /root/note.txt");
    await playground.openFile("main.js");
    await playground.write("console.log('kept');");
    await playground.create("empty", "main.sh");
    expect(await playground.run()).toMatch(/^Hello from Linux i686\n$/);
    await page.locator("#run-command").fill("echo changed");
    expect(await playground.run()).toBe("changed\n");
    await playground.reload();
    expect(await page.locator("#project option:checked").textContent()).toBe("Empty project");
    expect(await page.locator("#run-command").inputValue()).toBe("echo changed");
    // The last tenth of a second of a history may be lost.
    await page.locator("#log .earlier").getByText("$ sh main.sh").waitFor();

    await page.locator("#project").selectOption("JavaScript");
    await playground.editor.getByText("console.log('kept');").waitFor();
    expect(await playground.run()).toBe("kept\n");
    expect(await playground.outputOf("cat /root/note.txt; ls")).toMatch(/^on disk\n[\s\S]*in put\.bin\n/);
  });

  it("keeps what is typed in the moment before the page goes", async () => {
    await playground.write("console.log('in haste');");
    await playground.reload();
    expect(await playground.run()).toBe("in haste\n");
  });

  it("says in a second tab that a project is open, and opens it there when the first is closed", async () => {
    const first = playground.page;
    playground.page = await playground.open();
    await message(/“JavaScript” is open in another tab/);
    await first.close();
    await playground.reload();
    expect(await playground.run()).toBe("in haste\n");
  });

  it("names and removes projects, the latter only when asked twice", async () => {
    const { page } = playground;
    await page.locator("#menu").click();
    await page.locator("#title").fill("Renamed");
    await page.locator("#title").press("Enter");
    await page.locator("#project option").getByText("Renamed").waitFor({ state: "attached" });
    await page.locator("#menu").click();
    await page.getByText(/^BusyBox.*1024 MB of memory.*on its disk$/).waitFor();
    await page.locator("#remove").click();
    await page.getByRole("button", { name: "Remove it and its files?" }).click();
    await playground.editor.getByText("Hello from").waitFor();
    expect(await page.locator("#project option").allTextContents()).toEqual(["Empty project"]);
    // Nothing is left of it: neither its files nor its box.
    const paths = await page.evaluate(`new Promise((resolve) => {
      const open = indexedDB.open("boxrun-project-files");
      open.onsuccess = () => {
        const keys = open.result.transaction("entries").objectStore("entries").getAllKeys();
        keys.onsuccess = () => resolve(keys.result.map(([, path]) => path));
      };
    })`);
    expect(paths).toEqual(["/main.sh"]);
  });

  it("goes on without a network, a reload included", async () => {
    await playground.page.evaluate("navigator.serviceWorker.ready.then(() => true)");
    await playground.page.locator("html[data-kept=tiny]").waitFor();
    await playground.reload();
    await playground.context.setOffline(true);
    expect(await playground.run()).toBe("changed\n");
    await playground.reload();
    expect(await playground.run()).toBe("changed\n");
    await playground.create("website", "index.html");
    await playground.context.setOffline(false);
  });

  it("works where the browser refuses storage, and says that it keeps nothing", async () => {
    const refused = await playground.browser.newContext();
    await refused.addInitScript(() => {
      for (const name of ["localStorage", "indexedDB"])
        Object.defineProperty(globalThis, name, {
          get() {
            throw new DOMException("denied", "SecurityError");
          },
        });
    });
    playground.page = await playground.open(refused);
    expect(await playground.run()).toContain("box");
    await playground.page.locator("#menu").click();
    await playground.page.getByText("This browser keeps nothing").waitFor();
    await refused.close();
  });

  it("has said nothing on the console but what was asked for", () => {
    expect(playground.problems.filter((text) => !/net::ERR_INTERNET_DISCONNECTED/.test(text))).toEqual([]);
  });
});
