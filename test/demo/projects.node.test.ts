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
    const upload = () =>
      page.locator("#upload").setInputFiles({ name: "in put.bin", mimeType: "", buffer: bytes });
    await upload();
    await page.locator("[data-path='/in put.bin']").waitFor();
    // In place of a file only if the user says so.
    await playground.outputOf("echo mine > 'in put.bin'");
    let asked = "";
    page.once("dialog", (dialog) => {
      asked = dialog.message();
      return dialog.dismiss();
    });
    await upload();
    await expect.poll(() => asked).toBe("Replace in put.bin in the project?");
    expect(await playground.outputOf("cat 'in put.bin'")).toBe("mine\n");
    page.once("dialog", (dialog) => dialog.accept());
    await upload();
    await page.locator("#said").getByText("in put.bin is in the project").waitFor();
    expect(await playground.outputOf("wc -c < 'in put.bin'")).toBe("5\n");
    await page.locator("[data-path='/in put.bin']").click();
    await message(/in put\.bin is not text/);
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
    expect(download.suggestedFilename()).toBe("in put.bin");
    expect(readFileSync((await download.path())!)).toEqual(bytes);
    // It can be renamed and deleted as those that can be edited, and the one in the editor is left alone.
    await name("#rename-file", "data/out.bin");
    await page.locator("[data-path='/data/out.bin'][aria-current]").waitFor();
    await page.locator("#remove-file").click();
    await page.getByRole("button", { name: "Delete out.bin?" }).click();
    await page.locator("[data-path='/data/out.bin']").waitFor({ state: "detached" });
    expect(await playground.outputOf("find data lib")).toBe("data\nlib\nlib/b.js\n");
    await page.locator("[data-path='/lib/b.js']").click();
    await page.locator("#menu").click();
    const [all] = await Promise.all([page.waitForEvent("download"), page.locator("#download-all").click()]);
    expect(readFileSync((await all.path())!).includes("export const a = 1;")).toBe(true);
    await page.keyboard.press("Escape");

    await page.locator("#remove-file").click();
    await page.getByRole("button", { name: "Delete b.js?" }).click();
    await page.locator("[data-path='/lib/b.js']").waitFor({ state: "detached" });
    expect(await playground.outputOf("ls lib")).toBe("");
  });

  it("renames and deletes directories with all that is in them", async () => {
    const { page } = playground;
    await playground.outputOf("mkdir -p lib/deep; echo '// c' > lib/deep/c.js");
    await playground.openFile("c.js");
    await page.locator("[data-path='/lib']").click();
    await page.locator("#rename-file").click();
    await page.locator("#name").fill("lib/deeper");
    await page.locator("#name").press("Enter");
    await message(/lib cannot be moved into itself/);
    // Also when another one is clicked before the name is there.
    await page.locator("[data-path='/main.js']").click();
    await page.locator("#editor-path").getByText("main.js", { exact: true }).waitFor();
    await page.locator("[data-path='/lib'][aria-expanded=false]").click();
    await playground.openFile("c.js");
    await page.locator("#name").fill("src/lib");
    await page.locator("#name").press("Enter");
    // What was open stays open.
    await page.locator("#editor-path").getByText("src/lib/deep/c.js", { exact: true }).waitFor();
    await page.locator("[data-path='/src/lib'][aria-current]").waitFor();
    await page.locator("[data-path='/src']").click();
    // A new file begins in the directory that was clicked.
    await page.locator("#new-file").click();
    await page.keyboard.type("new.js");
    await page.locator("#name").press("Enter");
    await page.locator("#editor-path").getByText("src/new.js", { exact: true }).waitFor();
    await page.locator("[data-path='/src']").click();
    const body = { mimeType: "", buffer: Buffer.from("up") };
    await page.locator("#upload").setInputFiles({ name: "up.txt", ...body });
    await page.locator("#said").getByText("src/up.txt is in the project").waitFor();
    await page.locator("#remove-file").click();
    await page.getByRole("button", { name: "Delete src and all in it?" }).click();
    await page.locator("#editor-path").getByText("No file is open").waitFor();
    expect(await playground.outputOf("ls -d lib src; echo *.js")).toBe(
      "ls: lib: No such file or directory\nls: src: No such file or directory\nmain.js words.js\n",
    );
    expect(await page.locator("[data-path^='/src']").count()).toBe(0);
  });

  it("refuses what is too large to edit, and says what is not kept", async () => {
    await playground.type(
      "dd if=/dev/zero bs=64k count=20 2> /dev/null | tr '\\0' 1 > numbers.txt; ln -s main.js link.js",
    );
    await message(/link\.js is not kept when this project is closed, since it is a link/);
    await playground.page.locator("[data-path='/numbers.txt']").click();
    await message(/numbers\.txt is too large to edit here/);
    expect(await playground.outputOf("rm numbers.txt link.js; ls")).not.toContain("numbers");
  });

  it("leaves alone what nobody has typed: ends of lines, and the names of files that are gone", async () => {
    const { page } = playground;
    await playground.outputOf("printf 'a\\rb\\r\\nc\\nd' > mixed.txt; printf 'a\\r\\nb\\r\\n' > dos.txt");
    const bytes = (path: string) => playground.outputOf(`od -An -c ${path}`);
    await playground.openFile("mixed.txt");
    await playground.openFile("dos.txt");
    await page.locator(".cm-content").click();
    await page.keyboard.press("Control+Home");
    await page.keyboard.type("x");
    await playground.openFile("mixed.txt");
    expect(await bytes("mixed.txt")).toMatch(/a +\\r +b +\\r +\\n +c +\\n +d\n/);
    expect(await bytes("dos.txt")).toMatch(/x +a +\\r +\\n +b +\\r +\\n\n/);
    await playground.outputOf("mv mixed.txt moved.txt");
    await page.locator("#editor-path").getByText("No file is open").waitFor();
    await expect.poll(() => playground.keptPaths()).toContain("/moved.txt");
    await playground.reload();
    await page.locator("[data-path='/moved.txt']").waitFor();
    expect(await page.locator("[data-path='/mixed.txt']").count()).toBe(0);
    await playground.outputOf("rm moved.txt dos.txt; mkdir $(printf '\\377') d; echo kept > d/file");
    await expect.poll(() => playground.keptPaths()).toContain("/d/file");
    await playground.reload();
    await page.locator("[data-path='/d/file']").waitFor();
    expect(await playground.outputOf("cat d/file; rm -r d")).toBe("kept\n");
  });

  it("keeps projects, each with its files and its box, over reloads", async () => {
    const { page } = playground;
    await playground.outputOf("echo on disk > /root/note.txt");
    await playground.openFile("main.js");
    await playground.write("console.log('kept');");
    // A press of Run before the new project is there is for that one.
    await page.locator("#new").click();
    await page.locator("[data-example=empty]").click();
    await page.locator("#run").click();
    await page.locator("#log").getByText("Hello from Linux i686").waitFor();
    await page.locator("#run-command").fill("echo changed");
    expect(await playground.run()).toBe("changed\n");
    await playground.reload();
    expect(await page.locator("#project option:checked").textContent()).toBe("Empty project");
    expect(await page.locator("#run-command").inputValue()).toBe("echo changed");
    // The last tenth of a second of a history may be lost.
    await page.locator("#log .earlier").getByText("$ sh main.sh").waitFor();

    await playground.select("JavaScript", "main.js");
    await playground.editor.getByText("console.log('kept');").waitFor();
    expect(await playground.run()).toBe("kept\n");
    expect(await playground.outputOf("cat /root/note.txt; ls")).toMatch(/^on disk\n[\s\S]*poem\.txt\n/);
  });

  it("keeps what is typed in the moment before the page goes", async () => {
    await playground.write("console.log('in haste');");
    await playground.reload();
    expect(await playground.run()).toBe("in haste\n");
  });

  it("says in a second tab that a project is open, and opens it there when the first is closed", async () => {
    const first = playground.page;
    playground.page = await playground.open();
    // It begins with a project that no other tab has.
    const { page } = playground;
    const shown = () => page.locator("#project option:checked").textContent();
    expect(await shown()).not.toBe("JavaScript");
    const other = await shown();
    await page.locator("#project").selectOption("JavaScript");
    await message(/“JavaScript” is open in another tab/);
    await expect.poll(shown).toBe(other);
    await first.close();
    await page.locator("#project").selectOption("JavaScript");
    await expect.poll(shown).toBe("JavaScript");
    await playground.editor.getByText("in haste").waitFor();
    expect(await playground.run()).toBe("in haste\n");
  });

  it("names and removes projects, the latter only when asked twice", async () => {
    const { page } = playground;
    await page.locator("#menu").click();
    await page.locator("#title").fill("Renamed");
    await page.locator("#title").press("Enter");
    await page.locator("#project option").getByText("Renamed").waitFor({ state: "attached" });
    await page.locator("#menu").click();
    await page.getByText(/^BusyBox.*256 MB of memory.*on its disk$/).waitFor();
    await page.locator("#remove").click();
    await page.getByRole("button", { name: "Remove it and its files?" }).click();
    await playground.editor.getByText("Hello from").waitFor();
    expect(await page.locator("#project option").allTextContents()).toEqual(["Empty project"]);
    expect(await page.locator("#message:visible").count()).toBe(0);
    // Nothing is left of it: neither its files nor its box.
    expect(await playground.keptPaths()).toEqual(["/main.sh"]);
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

  it("works on a page without https, and says that it has no network", async () => {
    const { port } = new URL(playground.url);
    const plain = await playground.browser.newContext();
    playground.page = await playground.open(plain, `http://insecure.test:${port}/`);
    expect(await playground.run()).toContain("box");
    expect(await playground.page.locator("#network").isDisabled()).toBe(true);
    expect(await playground.page.locator("#network-state").textContent()).toBe("There is no network");
    expect(await playground.page.locator("#network-says").textContent()).toContain("without https");
    await plain.close();
  });

  it("says what is wrong with the settings of its site", async () => {
    const wrong = await playground.browser.newContext({ serviceWorkers: "block" });
    await wrong.route("**/settings.json", (route) => route.fulfill({ json: { relay: "nowhere" } }));
    playground.page = await playground.open(wrong);
    await message(/local\.relay must be/);
    await wrong.close();
  });

  it("has said nothing on the console but what was asked for", () => {
    expect(playground.problems.filter((text) => !/net::ERR_INTERNET_DISCONNECTED/.test(text))).toEqual([]);
  });
});
