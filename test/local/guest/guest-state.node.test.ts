import { BoxRunClient } from "boxrun";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
afterAll(() => client.close());

const create = (image: string, name?: string) =>
  client.create(image, { memoryMb: 256, ...(name && { name }) });

describe("the date in a box", () => {
  const HOURS_S = 3 * 3600;
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** The clock on the wall of this side goes on by so much, and the one that a guest's runs by does not. */
  function sleepHost(seconds: number): void {
    const real = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => real() + seconds * 1000);
  }

  it("is right for the first command after the host has slept", async () => {
    await using box = await create("tiny");
    const behind = async () => Date.now() / 1000 - Number((await box.exec(["date", "+%s"])).stdout);
    expect(Math.abs(await behind())).toBeLessThan(HOURS_S / 2);
    sleepHost(HOURS_S);
    expect(Math.abs(await behind())).toBeLessThan(HOURS_S / 2);
  });

  it("becomes right while a command runs that began before, and in a terminal", async () => {
    await using box = await create("tiny");
    const now = Date.now() / 1000;
    const late = `until [ $(date +%s) -gt ${Math.round(now) + HOURS_S / 2} ]; do sleep 0.1; done; echo late`;
    const execution = await box.execStream(`echo up; ${late}`);
    const terminal = await box.attach();
    const writer = terminal.writable.getWriter();
    await writer.write(`${late}; exit 7\n`);
    let printed = "";
    for await (const event of execution) {
      if (event.type !== "log") break;
      if (printed === "") sleepHost(HOURS_S);
      printed += event.data;
    }
    expect(printed).toBe("up\nlate\n");
    expect(await terminal.exited).toBe(7);
  });
});

describe("a box's own name", () => {
  it.each(["tiny", "debian"])("is found in %s, by hostname and by what asks the resolver", async (image) => {
    await using box = await create(image, "worker-1");
    const { stdout, stderr } = await box.exec("hostname; hostname -i");
    expect([stdout, stderr]).toEqual(["worker-1\n127.0.1.1\n", ""]);
    if (image !== "debian") return;
    const python =
      "import socket; print(socket.gethostbyname(socket.gethostname()), socket.gethostbyname('localhost'))";
    expect((await box.exec(["python3", "-c", python])).stdout).toBe("127.0.1.1 127.0.0.1\n");
  });

  it("is added once, and leaves the other lines as they are", async () => {
    await using box = await create("tiny", "once");
    await box.exec("printf '10.0.0.1 db # once\\n10.0.0.2 twice once-more' > /etc/hosts");
    await box.stop();
    await box.start();
    const hosts = "10.0.0.1 db # once\n10.0.0.2 twice once-more\n127.0.1.1\tonce\n";
    expect((await box.exec("cat /etc/hosts")).stdout).toBe(hosts);
    await box.exec("sed -i 's/127.0.1.1.once/10.0.0.3  other\\tonce # mine/' /etc/hosts");
    await box.stop();
    await box.start();
    expect((await box.exec("tail -n 1 /etc/hosts")).stdout).toBe("10.0.0.3  other\tonce # mine\n");
  });

  it.each([
    ["missing", "rm /etc/hosts"],
    ["a directory", "rm /etc/hosts; mkdir /etc/hosts"],
    ["a FIFO", "rm /etc/hosts; mkfifo /etc/hosts"],
    ["a link in a circle", "ln -sf hosts /etc/hosts"],
    ["larger than any", "dd if=/dev/zero of=/etc/hosts bs=1M count=3"],
  ])("is the box's own affair where its file is %s", async (_name, damage) => {
    await using box = await create("tiny", "broken");
    await box.exec(damage);
    await box.stop();
    await box.start();
    expect((await box.exec(["hostname"])).stdout).toBe("broken\n");
  });
});

describe("process substitutions of bash", () => {
  it.each([
    ["a log", "exec > >(tee log) 2>&1; echo one; seq 3; echo err >&2", "one\n1\n2\n3\nerr\n", ""],
    ["a count", "seq 100 | tee >(wc -l) > /dev/null", "100\n", ""],
    ["of stderr", "{ echo a >&2; echo b; } 2> >(sed 's/^/err: /')", "b\nerr: a\n", ""],
    ["to stderr", "seq 2 > >(sed 's/^/n /' >&2); echo end", "end\n", "n 1\nn 2\n"],
  ])("lose no line, time after time: %s", async (_name, script, stdout, stderr) => {
    await using box = await create("debian");
    for (let i = 0; i < 5; i++)
      expect(await box.exec(["bash", "-c", script])).toMatchObject({ stdout, stderr, exitCode: 0 });
  });
});
