import type { MachineDisk } from "./disk.js";

/** Bits of a drive's status register. Ready means that the drive is, and that its heads are where they should be. */
const ATA_BUSY = 0x80;
const ATA_READY = 0x50;
/** Bit of the status register: the command failed. Bit of the error register: the data cannot be read. */
const ATA_FAILED = 0x01;
const ATA_UNREADABLE = 0x40;
/** Bit of the channel's bus master: it transfers data. */
const DMA_ACTIVE = 0x01;
/** Replaces the number of a command that is done. */
const NO_COMMAND = -1;
const SECTOR_BYTES = 512;
/**
 * Limit of a drive's reads and writes in progress. A drive has one command at a time, of 32 MB at most; but a command goes on when a guest resets the
 * drive, or gives it the next command without waiting.
 */
const MAX_UNDER_WAY_BYTES = 64 * 2 ** 20;
/** Size that a small read or write counts as, since a disk in chunks holds a whole chunk for it. */
const MIN_UNDER_WAY_BYTES = 64 * 1024;

/** The internals of a v86 drive that are used here. */
export interface Drive {
  /** Null when there is no disk. */
  buffer: V86Disk | null;
  data: Uint8Array;
  data_length: number;
  write_dest: number;
  current_command: number;
  status_reg: number;
  error_reg: number;
  channel: { dma_status: number };
  do_write(): void;
  read_buffer(offset: number, length: number, done: (bytes: Uint8Array) => void): void;
  cancel_io_operations(): void;
  ata_advance(command: number, sectors: number): void;
  push_irq(): void;
}

/** A disk as v86 calls it. It is a class because v86 logs plain objects that it finds while it saves a state. */
export class V86Disk {
  readonly byteLength: number;
  onload: ((event: object) => void) | undefined;
  private underWayBytes = 0;
  private resets = 0;

  constructor(
    public disk: MachineDisk,
    private readonly onFailure: (error: unknown) => void,
  ) {
    this.byteLength = disk.byteLength;
  }

  load(): void {
    this.onload?.({});
  }

  get(offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.settle(length, () => this.disk.read(offset, length), done, this.onFailure);
  }

  /** Handles a read by the guest. If the disk tolerates errors, `failed` is called instead of `done`. */
  read(offset: number, length: number, done: (bytes: Uint8Array) => void, failed: () => void): void {
    const { resets, disk } = this;
    const onRead = (bytes: Uint8Array) => {
      if (resets === this.resets) done(bytes);
    };
    const onFailed = (error: unknown) => {
      if (!disk.onUnreadable) return this.onFailure(error);
      disk.onUnreadable(error);
      if (resets === this.resets) failed();
    };
    this.settle(length, () => disk.read(offset, length), onRead, onFailed);
  }

  get_from_cache(): undefined {}

  get_and_cache(offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.get(offset, length, done);
  }

  set(offset: number, bytes: Uint8Array, done: () => void): void {
    const { resets } = this;
    const stored = () => {
      if (resets === this.resets) done();
    };
    this.settle(bytes.byteLength, () => this.disk.write(offset, bytes), stored, this.onFailure);
  }

  /** Handles a reset of the drive: it forgets its command, and may have another one by the time that the old one is done. */
  forget(): void {
    this.resets++;
  }

  private settle<T>(
    length: number,
    work: () => T | Promise<T>,
    done: (value: T) => void,
    failed: (error: unknown) => void,
  ): void {
    const bytes = Math.max(length, MIN_UNDER_WAY_BYTES);
    if (this.underWayBytes + bytes > MAX_UNDER_WAY_BYTES) {
      const most = MAX_UNDER_WAY_BYTES / 2 ** 20;
      return this.onFailure(
        new Error(`the guest asked a drive to read and write more than ${most} MB at once`),
      );
    }
    try {
      const result = work();
      if (!(result instanceof Promise)) return done(result);
      this.underWayBytes += bytes;
      const settled = () => {
        this.underWayBytes -= bytes;
      };
      result.finally(settled).then(done, failed);
    } catch (error) {
      failed(error);
    }
  }

  get_buffer(done: (buffer: undefined) => void): void {
    done(undefined);
  }

  /** A state holds no disk: the machine that restores it brings its own. */
  get_state(): number[] {
    return [0];
  }

  set_state(): void {}
}

const mended = new WeakSet<object>();

/**
 * Makes drives acknowledge writes without DMA when they are stored; v86 does so before it passes them on. Linux changes to such writes for good when a drive
 * has not answered a few times, as in a page that was suspended. Also makes drives report that they cannot read, as real ones do, since reads never fail in
 * v86, and makes them forget their command when they are reset. It affects all drives at once, because v86 offers no way to change a single one.
 */
export function mendDrives(drive: Drive): void {
  const drives = Object.getPrototypeOf(drive) as Drive;
  if (mended.has(drives)) return;
  mended.add(drives);
  drives.do_write = function (this: Drive): void {
    const { current_command, write_dest } = this;
    // The guest's next write goes to the same place.
    const bytes = this.data.slice(0, this.data_length);
    this.status_reg = ATA_BUSY;
    this.buffer!.set(write_dest, bytes, () => {
      this.ata_advance(current_command, bytes.byteLength / SECTOR_BYTES);
      this.status_reg = ATA_READY;
      this.push_irq();
    });
  };
  drives.read_buffer = function (this: Drive, offset, length, done): void {
    this.buffer!.read(offset, length, done, () => {
      this.status_reg = ATA_READY | ATA_FAILED;
      this.error_reg = ATA_UNREADABLE;
      // The registers still have the command's first sector: nothing of it was read. The bus master's own error bit is for memory that it could not reach.
      this.channel.dma_status &= ~DMA_ACTIVE;
      this.current_command = NO_COMMAND;
      this.push_irq();
    });
  };
  const cancel = drives.cancel_io_operations;
  drives.cancel_io_operations = function (this: Drive): void {
    this.buffer?.forget();
    cancel.call(this);
  };
}
