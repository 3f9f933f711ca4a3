import { describe, expect, it } from "vitest";
import { usePlayground } from "./playground-page.js";

describe("the playground's box", () => {
  const playground = usePlayground();
  const frame = () => playground.page.frameLocator("#preview-frame");

  it("runs several commands at once, cancels each, and walks through what was typed", async () => {
    const { page, entries } = playground;
    await playground.type("echo first; sleep 600");
    await playground.last.getByText("first", { exact: true }).waitFor();
    expect(await playground.outputOf("echo meanwhile; echo err >&2; exit 3")).toBe("meanwhile\nerr\n");
    expect(await playground.last.locator(".stderr").textContent()).toBe("err\n");
    await entries.nth(0).getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await entries.nth(0).getByText("canceled").waitFor();
    await page.locator("#command:focus").waitFor();
    await playground.type("sleep 601");
    await playground.last.getByText("running…").waitFor();
    await page.keyboard.press("Control+c");
    await playground.last.getByText("canceled").waitFor();
    await page.keyboard.type("dra");
    for (const earlier of ["sleep 601", "echo meanwhile; echo err >&2; exit 3", "echo first; sleep 600"]) {
      await page.keyboard.press("ArrowUp");
      expect(await page.locator("#command").inputValue()).toBe(earlier);
    }
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowDown");
    expect(await page.locator("#command").inputValue()).toBe("dra");
    await page.keyboard.press("Escape");
    expect(await page.locator("#command").inputValue()).toBe("");
  });

  it("shows the end of much output, and keeps what can be pressed in view", async () => {
    const output = await playground.outputOf("seq 1 100000");
    expect(output).toMatch(/^[\d\n]{200000,220000}\n100000\n$/);
    expect(await playground.last.locator("pre").getAttribute("data-cut")).toContain("last 200 kB");
    await playground.page.locator("#run-command").fill("yes");
    await playground.page.locator("#run").click();
    await playground.last.locator("pre[data-cut]").waitFor();
    for (const one of ["#stop-program", "#command"]) expect(await playground.isInView(one)).toBe(true);
    await playground.page.locator("#stop-program").click();
    await playground.last.getByText("canceled").waitFor();
    await playground.page.locator("#stop-program").waitFor({ state: "hidden" });
  });

  it("has a terminal in the project's folder: keys, programs that take the whole screen, and its end", async () => {
    const { page } = playground;
    await page.getByRole("button", { name: "Terminal" }).click();
    await page.locator("#terminal textarea").waitFor({ state: "attached" });
    const rows = page.locator("#terminal .xterm-rows");
    const shows = (text: string | RegExp) => rows.getByText(text).first().waitFor();
    expect(await page.locator("#terminal-note").textContent()).toContain("Ctrl+Shift+Enter");
    // Tab belongs to the shell; there is a way out without a mouse.
    await page.keyboard.press("Tab");
    await page.locator("#terminal textarea:focus").waitFor();
    await page.keyboard.press("Control+Shift+Enter");
    await page.locator("#show-terminal:focus").waitFor();
    await page.locator("#terminal textarea").focus();
    await page.keyboard.type("tty; stty size\n");
    await shows("/dev/pts/0");
    const width = await page.locator("#terminal").evaluate(({ clientWidth }) => clientWidth);
    const [, columns] = /\d+ (\d+)/.exec(
      (await rows.textContent())!.replaceAll("\u00a0", " ").split("pts/0")[1]!,
    )!;
    // As wide as its place: no column of 14 pixels' text is wider than 10, or narrower than 6.
    expect(Number(columns)).toBeGreaterThan(width / 10);
    expect(Number(columns)).toBeLessThan(width / 6);
    await page.keyboard.type("vi by-hand.txt\n");
    await shows("by-hand.txt 1/1");
    await page.keyboard.type("itext");
    await page.keyboard.press("Escape");
    await shows("[Modified]");
    await page.keyboard.type(":wq\n");
    // The screen is again what it was before.
    await shows("vi by-hand.txt");
    await page.keyboard.type("exit\n");
    await page.locator("#output").waitFor();
    await playground.openFile("by-hand.txt");
    await playground.editor.getByText("text", { exact: true }).waitFor();
  });

  it("previews a website, which follows what is typed, and says when nothing listens", async () => {
    const { page } = playground;
    await playground.create("website", "index.html");
    await page.locator("#run").click();
    await frame().getByRole("heading", { name: "Hello from a box" }).waitFor();
    await frame().getByRole("button", { name: "Clicked 0 times" }).click();
    await frame().getByRole("button", { name: "Clicked once" }).waitFor();
    const color = () =>
      frame()
        .locator("h1")
        .evaluate((h1) => h1.ownerDocument.defaultView.getComputedStyle(h1).color);
    expect(await color()).toBe("rgb(29, 95, 209)");
    await playground.openFile("style.css");
    await playground.write("h1 { color: rgb(1, 2, 3); }");
    await expect.poll(color).toBe("rgb(1, 2, 3)");
    await page.locator("#preview-path").fill("/style.css");
    await page.locator("#preview-path").press("Enter");
    await frame().getByText("h1 { color").waitFor();
    await page.locator("#stop-program").click();
    await page.getByText("Start a web server in the box, and its pages appear here.").waitFor();
    expect(await page.locator("#preview-frame").isVisible()).toBe(false);
  });

  it("previews it without a network, too", async () => {
    const { page, context } = playground;
    await page.locator("#preview-path").fill("/");
    await context.setOffline(true);
    await page.locator("#run").click();
    await frame().getByRole("heading", { name: "Hello from a box" }).waitFor();
    await context.setOffline(false);
  });

  it("runs the web app in Python, its form, and its change after another run", async () => {
    const { page } = playground;
    await playground.create("python-server", "app.py");
    expect(await page.locator("body").getAttribute("data-preview")).toBe(null);
    await page.locator("#run").click();
    // The first Python of a box takes long on a busy machine.
    await frame().getByRole("textbox").fill("milk", { timeout: 100_000 });
    await frame().getByRole("button", { name: "Add" }).click();
    await frame().getByRole("listitem").getByText("milk").waitFor();
    await playground.last.getByText('"POST /notes HTTP/1.1" 303').waitFor();
    await frame().getByRole("link", { name: "As JSON" }).click();
    await frame().getByText('"milk"').waitFor();
    expect(await page.locator("[data-path='/__pycache__']").count()).toBe(0);
    await page.locator(".cm-content").getByText("Change this list, and run again.").dblclick();
    await page.keyboard.insertText("Edited");
    await page.getByRole("button", { name: "Run again" }).click();
    await frame()
      .getByText(/Edited/)
      .waitFor({ timeout: 100_000 });
  }, 240_000);

  it("compiles the example in C", async () => {
    await playground.create("c", "main.c");
    expect(await playground.run()).toBe("There are 9592 primes below 100000.\n");
  });

  it("has a switch for the network that says what it allows, and shows what was tried", async () => {
    const { page } = playground;
    // A public name, for which the browser answers itself.
    await playground.context.route("http://open.example.com/", (route) =>
      route.fulfill({ body: "from outside", headers: { "access-control-allow-origin": "*" } }),
    );
    const get = "wget -qO- -T 5 http://open.example.com/ || echo refused";
    await playground.select("Website", "style.css");
    expect(await playground.outputOf(get)).toContain("refused");
    await page.getByRole("checkbox", { name: "Network" }).check();
    expect(await playground.outputOf(get)).toBe("from outside");
    await page.getByRole("button", { name: "What the network allows" }).click();
    await page.getByText("The network is on").waitFor();
    await page.getByText("let pages read them, such as PyPI").waitFor();
    await page.locator("#network-log .allowed").getByText("open.example.com:80").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("checkbox", { name: "Network" }).uncheck();
    expect(await playground.outputOf(get)).toContain("refused");
  });

  it.each(["light", "dark"] as const)("fits a phone and can be read in the %s", async (colorScheme) => {
    const { page } = playground;
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 360, height: 640 });
    for (const pane of ["Files", "Editor", "Console", "Preview"]) {
      await page.locator("nav").getByRole("button", { name: pane }).click();
      const { width, colors } = await page.locator("body").evaluate((body) => {
        const view = body.ownerDocument.defaultView;
        const shown = [...body.querySelectorAll("h2, .muted, code")].filter(
          ({ offsetWidth }) => offsetWidth > 0,
        );
        const behind = (element: { parentElement: never }): string => {
          const color = view.getComputedStyle(element).backgroundColor as string;
          return color === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : color;
        };
        return {
          width: body.ownerDocument.documentElement.scrollWidth,
          colors: shown.map(
            (element) => [view.getComputedStyle(element).color, behind(element)] as [string, string],
          ),
        };
      });
      expect(width).toBe(360);
      for (const [text, background] of colors)
        expect(contrast(text, background), `${text} on ${background} in ${pane}`).toBeGreaterThan(4.5);
      for (const one of ["#run", "#project", "nav button"])
        expect(await page.locator(one).first().isVisible()).toBe(true);
      expect(await playground.isInView("#run")).toBe(true);
    }
    await page.locator("nav").getByRole("button", { name: "Editor" }).click();
    await page.locator("#run").click();
    // Output comes into view by itself, and the line for commands with it.
    expect(await playground.isInView("#command")).toBe(true);
    await page.locator("#stop-program").click();
  });

  it("has said nothing on the console but what was asked for", () => {
    // A preview of a server that starts again is a 502 meanwhile.
    const expected = /net::ERR_INTERNET_DISCONNECTED|status of 502/;
    expect(playground.problems.filter((text) => !expected.test(text))).toEqual([]);
  });
});

/** WCAG's contrast of two colors as CSS computes them. */
function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(color: string): number {
  const channel = (value: number) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const [red, green, blue] = color.match(/[\d.]+/g)!.map((part) => channel(Number(part) / 255));
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}
