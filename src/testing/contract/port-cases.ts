import type { BoxHandle, Connection, Forwarding } from "../../index.js";
import type { Context } from "./target.js";
import { failure, pattern, sha256 } from "./tools.js";

export function portCases(context: Context): void {
  const { it, expect } = context;

  /** True where the backend has ports. Where it has none, it must say so. */
  async function hasPorts(box: BoxHandle): Promise<boolean> {
    if ((await context.client.info()).capabilities.ports === true) return true;
    expect(await failure(box.connect(4000))).toMatchObject({ code: "UNSUPPORTED" });
    return false;
  }

  /** Starts a server that runs a program for each connection, which is its input and output. */
  async function serve(box: BoxHandle, port: number, ...program: string[]): Promise<void> {
    const options = { detached: true };
    await box.spawn("nc", ["-lk", "-s", "127.0.0.1", "-p", String(port), "-e", ...program], options);
    await box.ports.waitFor(port);
  }

  it("refuses a port where nothing listens, and says so when waiting for one", async () => {
    const { box } = context;
    if (!(await hasPorts(box))) return;
    expect(await failure(box.connect(4000))).toMatchObject({ code: "PORT_CLOSED", retryable: true });
    expect(await failure(box.fetch(4000))).toMatchObject({ code: "PORT_CLOSED" });
    const waiting = box.ports.waitFor(4000, { timeoutMs: 50 });
    expect(await failure(waiting)).toMatchObject({ code: "PORT_CLOSED" });
    for (const port of [0, 65_536, 1.5])
      expect(await failure(box.connect(port))).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("connects to a server of the box, each direction to its own end", async () => {
    const { box } = context;
    if (!(await hasPorts(box))) return;
    await serve(box, 4001, "cat");
    const bytes = pattern(500_000);
    expect(await sha256(await ask(await box.connect(4001), bytes))).toBe(await sha256(bytes));
    const ports = await box.ports.list();
    expect(ports.find(({ port }) => port === 4001)).toEqual({ port: 4001, addresses: ["127.0.0.1"] });
  });

  it("sends requests to a server of the box", async () => {
    const { box } = context;
    if (!(await hasPorts(box))) return;
    await box.files.mkdir("/srv/www");
    await box.files.write("/srv/www/page.txt", pattern(300_000));
    await box.exec("httpd -p 127.0.0.1:4002 -h /srv/www", { check: true });
    await box.ports.waitFor(4002);
    const response = await box.fetch(4002, "/page.txt");
    expect([response.status, response.headers.get("content-length")]).toEqual([200, "300000"]);
    const got = new Uint8Array(await response.arrayBuffer());
    expect(await sha256(got)).toBe(await sha256(pattern(300_000)));
    expect((await box.fetch(4002, "/nothing")).status).toBe(404);
  });

  it("makes a port of this machine lead to a server of the box, where this is not a page", async () => {
    const { box } = context;
    if (!(await hasPorts(box))) return;
    await box.files.mkdir("/srv/forwarded");
    await box.files.write("/srv/forwarded/page.txt", "forwarded");
    await box.exec("httpd -p 127.0.0.1:4005 -h /srv/forwarded", { check: true });
    await box.ports.waitFor(4005);
    let forwarding: Forwarding;
    try {
      forwarding = await box.forward(4005);
    } catch (error) {
      expect(error).toMatchObject({ code: "UNSUPPORTED" });
      return;
    }
    expect(await (await fetch(`${forwarding.url}/page.txt`)).text()).toBe("forwarded");
    await forwarding.close();
    // Each runtime has an error of its own for a refused connection.
    await failure(fetch(`${forwarding.url}/page.txt`));
  });

  it("holds up a server that nobody reads, and nothing else", async () => {
    const { box } = context;
    if (!(await hasPorts(box))) return;
    await serve(box, 4003, "yes");
    const connection = await box.connect(4003);
    const reader = connection.readable.getReader();
    await reader.read();
    expect((await box.exec(["echo", "free"])).stdout).toBe("free\n");
    await reader.cancel();
    expect(await connection.closed).toBeUndefined();
  });

  it("resets a connection by its close, which may be taken from it", async () => {
    const { box } = context;
    if (!(await hasPorts(box))) return;
    await serve(box, 4006, "cat");
    const { readable, closed, close } = await box.connect(4006);
    const reading = failure(readable.getReader().read());
    await close();
    expect(await closed).toBeUndefined();
    expect(await reading).toMatchObject({ code: "CANCELED" });
    await close();
  });

  it("ends its connections when the box stops", async () => {
    const box = await context.client.create(context.target.image, { memoryMb: 256 });
    try {
      if (!(await hasPorts(box))) return;
      await serve(box, 4004, "cat");
      const connection = await box.connect(4004);
      // Not by a Response, which has an error of its own in a page.
      const reading = connection.readable.pipeTo(new WritableStream()).then(
        () => "end",
        (error) => error.code,
      );
      await box.stop();
      // Its server is ended first: then the kernel ends its connections, as that of any machine does.
      expect(await reading).toMatch(/^(end|BOX_NOT_RUNNING|STREAM_INTERRUPTED)$/);
      expect(await failure(box.connect(4004))).toMatchObject({ code: "BOX_NOT_RUNNING" });
    } finally {
      await box.remove({ force: true });
    }
  });
}

async function ask(connection: Connection, bytes: Uint8Array): Promise<Uint8Array> {
  const writer = connection.writable.getWriter();
  const sent = writer.write(bytes).then(() => writer.close());
  const answer = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  await sent;
  await connection.closed;
  return answer;
}
