import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const FILES = 200;
const LARGE_BYTES = 4 << 20;

/** Serves repositories by smart HTTP, with git's own program for it. There is one, `/project.git`, with two commits, 200 small files and a large one. */
export async function gitServer(folder: string): Promise<Server> {
  await makeRepository(folder);
  return createServer((request, response) => answer(folder, request, response));
}

/** Runs git on this machine, in a folder. */
export async function git(folder: string, ...args: string[]): Promise<string> {
  const author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
  return (await run("git", [...author, ...args], { cwd: folder })).stdout;
}

async function makeRepository(folder: string): Promise<void> {
  const work = join(folder, "work");
  await mkdir(join(work, "many"), { recursive: true });
  await git(work, "init", "-q", "-b", "main");
  for (let i = 0; i < FILES; i++)
    await writeFile(join(work, "many", `${i}.txt`), `file ${i}\n`.repeat(i + 1));
  await git(work, "add", ".");
  await git(work, "commit", "-q", "-m", "Many small files");
  await writeFile(join(work, "large"), randomBytes(LARGE_BYTES));
  await git(work, "add", ".");
  await git(work, "commit", "-q", "-m", "A large one");
  await git(folder, "clone", "-q", "--bare", "work", "project.git");
  await git(join(folder, "project.git"), "config", "http.receivepack", "true");
}

/** Has `git http-backend`, which is a CGI program, answer a request. */
function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url!, "http://git.example.com");
  const header = (name: string) => String(request.headers[name] ?? "");
  const backend = spawn("git", ["http-backend"], {
    env: {
      ...process.env,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_PROTOCOL: header("git-protocol"),
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header("content-type"),
      HTTP_CONTENT_ENCODING: header("content-encoding"),
      ...(request.headers["content-length"] && { CONTENT_LENGTH: request.headers["content-length"] }),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(backend.stdin);
  // It may end before it has read all.
  backend.stdin.on("error", () => {});
  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return;
    backend.stdout.off("data", readHead);
    const lines = head.toString("latin1", 0, end).split("\r\n");
    for (const [name, value] of lines.map((line) => line.split(": ")))
      if (name === "Status") response.statusCode = Number.parseInt(value!, 10);
      else response.setHeader(name!, value!);
    response.write(head.subarray(end + 4));
    backend.stdout.pipe(response);
  };
  backend.stdout.on("data", readHead);
}
