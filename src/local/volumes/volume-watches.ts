import { type Deferred, deferred } from "../../util/deferred.js";
import { startTimer } from "../../util/timer.js";
import { DirectoryWatch, factsOf } from "./directory-watch.js";
import { ERRNO, VolumeError } from "./errno.js";
import type { Mount } from "./mount.js";
import { type PathEnd, PathWalk } from "./path-walk.js";
import type { VolumeAnswer, VolumeCall, VolumeChange, WatchListener } from "./volume-calls.js";

/** Most watches of a machine. */
const MAX_WATCHES = 256;
/** Changes that wait to be asked for. */
const MAX_WAITING = 4096;
/** Bytes of their paths, which are short in all but the deepest trees. */
const MAX_WAITING_BYTES = 2 ** 20;
/** Time after which a question is answered, though nothing has changed. */
const ANSWER_MS = 10_000;

/** A watch, and its changes that were not asked for yet. */
class Watch implements WatchListener {
  private readonly stops: (() => void)[] = [];
  private isOver = false;
  private changes: VolumeChange[] = [];
  /** Bytes of the paths of the changes. */
  private bytes = 0;
  private isEnd = false;
  private failure: VolumeError | undefined;
  private news: Deferred<void> = deferred();

  /** Adds what ends a part of the watch: with the watch, or at once if that has ended. */
  add(stop: () => void): void {
    if (this.isOver) stop();
    else this.stops.push(stop);
  }

  /** Ends the watch, with an error if there is one, and gives up what it holds. Idempotent. */
  end(failure?: VolumeError): void {
    this.isOver = true;
    for (const stop of this.stops.splice(0)) stop();
    if (failure) this.onFailure(failure);
    else this.onEnd();
  }

  onChange(change: VolumeChange): void {
    const last = this.changes.at(-1);
    const isRepeated = change.type === "changed" || change.type === "overflow";
    if (isRepeated && last?.type === change.type && last.path === change.path) return;
    this.bytes += change.path.length + (change.type === "renamed" ? change.from.length : 0);
    if (this.changes.length >= MAX_WAITING || this.bytes > MAX_WAITING_BYTES) {
      this.changes = [{ type: "overflow", path: "" }];
      this.bytes = 0;
    } else this.changes.push(change);
    this.news.resolve();
  }

  onEnd(): void {
    this.isEnd = true;
    this.news.resolve();
  }

  onFailure(error: VolumeError): void {
    this.failure = error;
    this.news.resolve();
  }

  /** Resolves to what has changed, once anything has or some time has passed. */
  async take(): Promise<VolumeAnswer> {
    const stopTimer = startTimer(ANSWER_MS, () => this.news.resolve());
    await this.news.promise;
    stopTimer();
    this.news = deferred();
    const changes = this.changes.splice(0);
    this.bytes = 0;
    if (changes.length === 0 && this.failure) return { errno: ERRNO[this.failure.errno] };
    if (this.failure) this.news.resolve();
    return { changes, isEnd: this.isEnd };
  }
}

/** The watches of `box.files` in the volumes of a machine. */
export class VolumeWatches {
  private readonly watches = new Map<number, Watch>();

  constructor(private readonly mount: Mount) {}

  /** Begins a watch. @throws {VolumeError} ENOENT, ENOSPC; EOPNOTSUPP when the volume does not tell of changes */
  async begin({ watch: number, path, recursive }: Extract<VolumeCall, { call: "watch" }>): Promise<void> {
    if (this.watches.size >= MAX_WATCHES) throw new VolumeError("EMFILE");
    const watch = new Watch();
    this.watches.set(number, watch);
    const walk = new PathWalk(this.mount);
    try {
      await this.start(watch, await walk.end(path, { follow: true }), recursive);
    } catch (error) {
      watch.end();
      this.watches.delete(number);
      throw error;
    } finally {
      walk.close();
    }
  }

  /** Resolves to the changes of a watch. @throws {VolumeError} EBADF when there is none of the number */
  changes(number: number): Promise<VolumeAnswer> {
    const watch = this.watches.get(number);
    if (!watch) throw new VolumeError("EBADF");
    return watch.take();
  }

  /** Ends a watch. Idempotent. */
  end(number: number): void {
    const watch = this.watches.get(number);
    this.watches.delete(number);
    watch?.end();
  }

  /** Ends all watches, because the box ends. */
  close(): void {
    for (const watch of this.watches.values()) watch.end(new VolumeError("ESHUTDOWN"));
    this.watches.clear();
  }

  private async start(watch: Watch, end: PathEnd, recursive: boolean): Promise<void> {
    if (!end.found) throw new VolumeError("ENOENT");
    const ownWatch = this.mount.watchOf(end.found.volume);
    if (ownWatch) watch.add(ownWatch(end.path, recursive, watch));
    else if (end.found.node.kind === "directory") await this.startDirectory(watch, end, recursive);
    else await this.startFile(watch, end);
  }

  private async startFile(watch: Watch, { folder, name }: PathEnd): Promise<void> {
    const directory = new DirectoryWatch(folder!.share(), this.mount.watched, false, watch, name);
    watch.add(() => directory.close());
    await directory.begin();
  }

  private async startDirectory(
    watch: Watch,
    { folder, name, found }: PathEnd,
    recursive: boolean,
  ): Promise<void> {
    const directory = new DirectoryWatch(found!.share(), this.mount.watched, recursive, watch);
    watch.add(() => directory.close());
    await directory.begin();
    if (!folder?.node.watch) return;
    const above = folder.share();
    watch.add(() => above.release());
    const { device, inode } = await found!.node.stat();
    const check = async () => {
      const now = await factsOf(above.node, name);
      if (now?.device !== device || now.inode !== inode) directory.vanish();
    };
    watch.add(
      folder.node.watch((entry) => {
        if (entry === name) void check().catch(() => {});
      }),
    );
    await check();
  }
}
