import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Dialer } from "../../../src/network/dialer.js";
import { streamsOf } from "./socket-streams.js";

const run = promisify(execFile);

/** A way for programs of this machine into a dialer, as programs in a box have one: a port that leads to port 443 of one host. */
export interface Front {
  port: number;
  /** Folder for files of programs. */
  folder: string;
  /** Arguments of curl for which the host is here. It wants them again after each `--next`. */
  args: readonly string[];
  /** Runs curl with {@link args} before others. */
  curl(...args: string[]): Promise<{ stdout: string; code: number }>;
  close(): void;
}

/** Opens a {@link Front}. `dialer` is asked for each connection. */
export async function openFront(host: string, pem: string, dialer: () => Dialer): Promise<Front> {
  const folder = mkdtempSync(join(tmpdir(), "boxrun-front-"));
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, pem);
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    const { signal } = new AbortController();
    const near = await dialer().connect({ host, port: 443 }, { signal });
    const here = streamsOf(socket);
    near.readable.pipeTo(here.writable).catch(() => {});
    here.readable.pipeTo(near.writable).catch(() => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const args = ["-sS", "-m", "20", "--cacert", caFile, "--connect-to", `${host}:443:127.0.0.1:${port}`];
  return {
    port,
    folder,
    args,
    curl: (...more) =>
      run("curl", [...args, ...more]).then(
        ({ stdout }) => ({ stdout, code: 0 }),
        ({ stdout, code }) => ({ stdout, code }),
      ),
    close: () => {
      server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
