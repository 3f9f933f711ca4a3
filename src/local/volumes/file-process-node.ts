/**
 * The process that opens the files of one volume. A thread of it makes the calls, any of which may never return; the main thread ends the process as soon as nobody reads its answers
 * any more, whatever that thread does.
 */
import { writeSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { isBoxRunError } from "../../backend/errors.js";
import { volumeErrorOf } from "./errno.js";
import type { FileAnswer, FileCallName, FileCalls, FileRequest } from "./file-calls.js";
import { FrameReader, frame } from "./file-frames-node.js";
import { FilesByNumber } from "./files-by-number-node.js";

const STDOUT = 1;
/** Time for calls that were sent before the end, in milliseconds. */
const LAST_CALLS_MS = 1000;

if (isMainThread) watch(new Worker(new URL(import.meta.url)));
else serve(new FilesByNumber());

/** Passes requests to the thread, and ends the process with their sender. */
function watch(thread: Worker): void {
  const end = () => process.kill(process.pid, "SIGKILL");
  thread.on("error", end);
  thread.on("exit", end);
  process.stdin.on("data", (bytes) => thread.postMessage(bytes));
  process.stdin.on("error", end);
  process.stdin.on("end", () => {
    thread.postMessage("end");
    setTimeout(end, LAST_CALLS_MS);
  });
}

/** Makes the calls, one after the other. */
function serve(files: FileCalls): void {
  const reader = new FrameReader<FileRequest>((request) => send(frame(answerTo(files, request))));
  parentPort!.on("message", (message: Uint8Array | "end") => {
    if (message === "end") process.exit();
    reader.push(message);
  });
}

function answerTo(files: FileCalls, { id, call, args }: FileRequest): FileAnswer {
  try {
    const perform = files[call] as (...args: unknown[]) => ReturnType<FileCalls[FileCallName]>;
    return { id, result: perform.apply(files, args) };
  } catch (error) {
    if (isBoxRunError(error)) return { id, code: error.code, message: error.message };
    return { id, errno: volumeErrorOf(error).errno };
  }
}

function send(bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) {
    try {
      done += writeSync(STDOUT, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
