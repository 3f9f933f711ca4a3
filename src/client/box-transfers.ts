import type { Backend, TransferProgress, UploadSpec } from "../backend/backend.js";
import { invalid, isBoxRunError } from "../backend/errors.js";
import { pathBytes } from "../backend/file-paths.js";
import { textOf } from "../backend/text.js";
import { requireMode, requireOptions } from "../backend/validate.js";
import { DEFAULT_FILE_MODE } from "../contract/schemas.js";
import { type Source, toStream } from "../exec/byte-source.js";
import type { BoxFiles } from "../files/file-types.js";
import { untilAborted } from "../util/abort.js";
import { concatBytes } from "../util/bytes.js";
import type { Download, DownloadOptions, UploadOptions } from "./box-options.js";

/** Implements `BoxHandle.upload`. */
export async function upload(to: RemoteFile, source: Source, options: UploadOptions): Promise<void> {
  requireOptions(options, { mode: true, signal: true, onProgress: true });
  options.signal?.throwIfAborted();
  if (typeof source === "string" && (await (await localFiles()).isLocalFolder(source)))
    return uploadFolder(to, source, options);
  return uploadFile(to.backend, to.id, source, to.path, options);
}

async function uploadFolder(to: RemoteFile, source: string, options: UploadOptions): Promise<void> {
  const { mode, signal, onProgress } = options;
  if (mode !== undefined)
    throw invalid(`mode is for one file, and ${source} is a directory`, "its files keep their own");
  pathBytes(to.path);
  const archive = await (await localFiles()).packLocalFolder(source);
  const body = onProgress ? archive.pipeThrough(reporting(null, onProgress)) : archive;
  try {
    await to.files.unpack(body, to.path, signal ? { signal } : {});
  } finally {
    if (!body.locked) await body.cancel().catch(() => {});
  }
}

async function uploadFile(
  backend: Backend,
  boxId: string,
  source: Source,
  path: string,
  options: UploadOptions,
): Promise<void> {
  const { mode, signal, onProgress } = options;
  if (mode !== undefined) requireMode(mode);
  const file =
    typeof source === "string"
      ? await (await localFiles()).openLocalFile(source)
      : { ...toStream(source), mode: undefined };
  const spec: UploadSpec = {
    ...(mode !== undefined && { mode }),
    ...(file.mode !== undefined && { newMode: file.mode }),
    ...(signal && { signal }),
  };
  const body = onProgress ? file.stream.pipeThrough(reporting(file.size, onProgress)) : file.stream;
  try {
    await untilAborted(backend.upload(boxId, path, body, spec), signal);
  } finally {
    // Whoever stopped reading the stream has released it. If the path was refused, nobody has read it.
    if (!body.locked) await body.cancel().catch(() => {});
  }
}

/** A file of a box. */
interface RemoteFile {
  backend: Backend;
  id: string;
  files: BoxFiles;
  path: string;
}

/** Implements `BoxHandle.download` without a local path. */
export async function downloadFile(file: RemoteFile, options: DownloadOptions): Promise<Download> {
  const { size, body } = await open(file, options);
  return new StreamDownload(size, body);
}

/** Implements `BoxHandle.download` with a local path. */
export async function saveFile(file: RemoteFile, localPath: string, options: DownloadOptions): Promise<void> {
  const { signal } = options;
  if (file.path?.endsWith?.("/")) return saveFolder(file, localPath, options);
  const check = async () => (await localFiles()).requireLocalFiles();
  const opened = await open(file, options, check).catch(async (error) => {
    if (await isFolder(file, error, signal)) return undefined;
    throw error;
  });
  if (!opened) return saveFolder(file, localPath, options);
  const { mode, body } = opened;
  const newMode = async () => mode ?? (await modeOf(file, signal));
  return (await localFiles()).saveLocalFile(localPath, body, { newMode, ...(signal && { signal }) });
}

/** Implements `BoxHandle.download` of a directory. */
async function saveFolder(file: RemoteFile, localPath: string, options: DownloadOptions): Promise<void> {
  requireOptions(options, { signal: true, onProgress: true });
  const { signal, onProgress } = options;
  const local = await localFiles();
  local.requireLocalFiles();
  const archive = await file.files.pack(file.path, signal ? { signal } : {});
  const body = onProgress ? archive.pipeThrough(reporting(null, onProgress)) : archive;
  return local.unpackLocalFolder(localPath, body, signal);
}

/** Returns true if a file could not be downloaded because it is a directory. */
async function isFolder(
  { files, path }: RemoteFile,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!isBoxRunError(error) || error.code !== "RUNTIME_ERROR") return false;
  const stat = await files.stat(path, signal ? { signal } : {}).catch(() => undefined);
  return stat?.type === "directory";
}

/** Begins a download, unless `check` throws. */
async function open(
  { backend, id, path }: RemoteFile,
  options: DownloadOptions,
  check: () => unknown = () => {},
) {
  requireOptions(options, { signal: true, onProgress: true });
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  await check();
  const opened = backend.download(id, path, signal ? { signal } : {});
  const { stream, ...about } = await untilAborted(opened, signal);
  return { ...about, body: onProgress ? stream.pipeThrough(reporting(about.size, onProgress)) : stream };
}

/** Finds the permission bits of a file when its download did not report them. */
function modeOf({ files, path }: RemoteFile, signal: AbortSignal | undefined): Promise<number> {
  return files.stat(path, signal ? { signal } : {}).then(
    (stat) => stat.mode,
    // The box has no programs for it.
    () => DEFAULT_FILE_MODE,
  );
}

/** Loads the code for local files, which a page does not need. */
const localFiles = () => import("./host-files.js");

class StreamDownload implements Download {
  private taken = false;

  constructor(
    readonly size: number | null,
    private readonly body: ReadableStream<Uint8Array>,
  ) {}

  async bytes(): Promise<Uint8Array> {
    if (this.taken) throw invalid("a download can be read only once");
    this.taken = true;
    const chunks: Uint8Array[] = [];
    const reader = this.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return concatBytes(chunks);
      chunks.push(value);
    }
  }

  async text(): Promise<string> {
    return textOf(await this.bytes());
  }

  async blob(): Promise<Blob> {
    return new Blob([(await this.bytes()) as Uint8Array<ArrayBuffer>]);
  }

  stream(): ReadableStream<Uint8Array> {
    this.taken = true;
    return this.body;
  }
}

function reporting(
  totalBytes: number | null,
  onProgress: (progress: TransferProgress) => void,
): TransformStream<Uint8Array, Uint8Array> {
  let loadedBytes = 0;
  return new TransformStream({
    transform: (chunk, controller) => {
      loadedBytes += chunk.byteLength;
      controller.enqueue(chunk);
      onProgress({ loadedBytes, totalBytes });
    },
  });
}
