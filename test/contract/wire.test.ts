import { describe, expect, it } from "vitest";
import {
  createRequest,
  createWithSecretsRequest,
  execRequest,
  runRequest,
} from "../../src/contract/requests.js";
import { fileRequests } from "../../src/contract/requests-files.js";
import { boxSpecSchema, execSpecSchema } from "../../src/contract/schemas.js";
import type {
  BoxInfo,
  BoxStatus,
  ExecInfo,
  ExecStatus,
  FileEntry,
  FileOperation,
} from "../../src/contract/types.js";
import * as wire from "../../src/contract/wire.js";
import { toFileRequest, toWireFile, wireFile } from "../../src/contract/wire-files.js";

const EXTENDED = { extended: true };
const TIME = new Date("2026-01-02T03:04:05.678Z");
const LATER = new Date("2026-01-02T03:04:06.000Z");
const NOT_UTF8 = Uint8Array.of(47, 0xff, 0xfe);
const bytes = (text: string) => new TextEncoder().encode(text);

/** Sends a body as JSON, as the other side gets it. */
const sent = (body: unknown): unknown => JSON.parse(JSON.stringify(body));

const BOX: BoxInfo = {
  id: "box_0123456789ab",
  ...boxSpecSchema.parse({ image: "tiny" }),
  status: "configured" as BoxStatus,
  errorCode: null,
  errorMessage: null,
  createdAt: TIME,
  startedAt: null,
  stoppedAt: null,
};
const EXEC: ExecInfo = {
  id: "exec_0123456789ab",
  boxId: BOX.id,
  status: "running",
  cmd: ["cat", ""],
  env: null,
  workdir: null,
  timeoutMs: null,
  exitCode: null,
  errorMessage: null,
  createdAt: TIME,
  finishedAt: null,
};
const FILE: FileEntry = {
  name: bytes("a"),
  type: "file",
  size: 5,
  mode: 0o644,
  modifiedAt: TIME,
  uid: 0,
  gid: 1000,
};

describe("the client reads what the server wrote", () => {
  it.each<[string, BoxInfo]>([
    ["of which most is empty", BOX],
    [
      "of which all is set",
      {
        ...BOX,
        name: "demo",
        network: { allow: ["pypi.org"], deny: ["10.0.0.0/8"], lan: "shop" },
        env: { A: "1", B: "" },
        volumes: [
          { hostPath: "/srv", guestPath: "/mnt", readonly: true },
          { source: "memory", guestPath: "/work", readonly: false },
        ],
        errorCode: "RUNTIME_ERROR",
        errorMessage: "it broke",
        startedAt: TIME,
        stoppedAt: LATER,
        local: {
          image: "tiny",
          cpus: 1,
          memoryMb: 1024,
          persistent: true,
          boot: "snapshot",
          secrets: ["KEY"],
          secretHosts: { KEY: ["api.example.com"] },
          warnings: ["w"],
        },
      },
    ],
  ])("a box %s", (_, box) => {
    expect(wire.wireBox.parse(sent(wire.toWireBox(box, EXTENDED)))).toEqual(box);
    const { local: _local, ...rest } = box;
    // In the published API, a box has a network or not.
    const published = { ...rest, network: box.network !== false };
    expect(wire.wireBox.parse(sent(wire.toWireBox(box, { extended: false })))).toEqual(published);
  });

  it.each<[string, ExecInfo]>([
    ["of which most is empty", EXEC],
    [
      "of which all is set",
      {
        ...EXEC,
        status: "exited" as ExecStatus,
        env: { A: "1" },
        workdir: "/srv",
        timeoutMs: 5,
        exitCode: -9,
        errorMessage: "killed",
        finishedAt: LATER,
        truncated: true,
      },
    ],
  ])("an execution %s", (_, exec) => {
    expect(wire.wireExec.parse(sent(wire.toWireExec(exec, EXTENDED)))).toEqual(exec);
    const { truncated: _truncated, ...published } = exec;
    expect(wire.wireExec.parse(sent(wire.toWireExec(exec, { extended: false })))).toEqual(published);
  });

  it("what a server can do, an image, the usage of a disk, and a run", () => {
    const info = { maxCpu: 4, maxMemoryMb: 8192, server: "boxrun-ts/0.1.0", capabilities: ["files"] };
    expect(wire.wireInfo.parse(sent(wire.toWireInfo(info)))).toEqual(info);
    const image = { name: "tiny", aliases: ["busybox"], description: "d", downloadBytes: 1, totalBytes: 2 };
    expect(wire.wireImages.parse(sent([wire.toWireImage(image)]))).toEqual([image]);
    const usage = { diskBytes: 1, diskLimitBytes: 2, persistent: false };
    expect(wire.wireUsage.parse(sent(wire.toWireUsage(usage)))).toEqual(usage);
    const result = { exitCode: 255, stdout: "o", stderr: "e", errorMessage: null };
    expect(wire.wireRunResult.parse(sent(wire.toWireRunResult(result)))).toEqual(result);
  });

  it.each<[string, FileEntry]>([
    ["an entry of a directory", FILE],
    ["a file without a name", { ...FILE, name: new Uint8Array(0), type: "directory" }],
    ["a name that is not UTF-8", { ...FILE, name: Uint8Array.of(0xff), type: "symlink" }],
    ["a name that begins with a byte order mark", { ...FILE, name: bytes("\ufeffa"), type: "other" }],
  ])("%s", (_, file) => {
    expect(wireFile.parse(sent(toWireFile(file)))).toEqual(file);
  });
});

describe("the server reads what the client wrote", () => {
  it.each<[string, Parameters<typeof boxSpecSchema.parse>[0]]>([
    ["with nothing but an image", { image: "tiny" }],
    [
      "with every option",
      {
        image: "tiny",
        name: "demo",
        cpu: 1,
        memoryMb: 256,
        diskSizeGb: 1,
        network: true,
        workdir: "/srv",
        env: { A: "1" },
        volumes: [{ hostPath: "/srv", guestPath: "/mnt", readonly: true }],
      },
    ],
    ["with rules of its network", { image: "tiny", network: { allow: ["pypi.org"], lan: "shop" } }],
  ])("a box %s", (_, options) => {
    const spec = boxSpecSchema.parse(options);
    const body = sent(wire.toCreateRequest(spec)) as object;
    expect(boxSpecSchema.parse(createRequest.parse(body))).toEqual(spec);
    const secrets = { KEY: { value: "v", hosts: ["api.example.com"] } };
    const withSecrets = createWithSecretsRequest.parse({ ...body, secrets });
    expect([boxSpecSchema.parse(withSecrets.box), withSecrets.secrets]).toEqual([spec, secrets]);
    // Of a box for one command, a request names neither name nor directory.
    const { box } = runRequest.parse({ ...body, cmd: ["true"] });
    expect(boxSpecSchema.parse(box)).toEqual({ ...spec, name: null, workdir: "/root" });
  });

  it.each<[string, Parameters<typeof execSpecSchema.parse>[0]]>([
    ["with nothing but its arguments", { cmd: ["true"] }],
    [
      "with every option",
      { cmd: ["a", ""], env: { A: "" }, workdir: "/srv", timeoutMs: 5, stdin: true, stderr: "stdout" },
    ],
  ])("a command %s", (_, options) => {
    const spec = execSpecSchema.parse(options);
    expect(execSpecSchema.parse(execRequest.parse(sent(wire.toExecRequest(spec))))).toEqual(spec);
  });

  it.each<FileOperation>([
    { op: "stat", path: bytes("/a"), followLinks: true },
    { op: "stat", path: NOT_UTF8, followLinks: false },
    { op: "list", path: bytes("/\ufeff") },
    { op: "mkdir", path: bytes("/a b"), mode: 0o700, recursive: true },
    { op: "rename", path: NOT_UTF8, to: bytes("/b") },
    { op: "remove", path: bytes("/a\nb") },
  ])("a file operation: $op", (operation) => {
    expect(fileRequests[operation.op].parse(sent(toFileRequest(operation)))).toEqual(operation);
  });
});
