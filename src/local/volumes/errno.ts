/** Linux's numbers of the errors that a volume gives (asm-generic/errno-base.h and errno.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  ESHUTDOWN: 108,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

/** Name of an error, such as "ENOENT". */
export type ErrnoName = keyof typeof ERRNO;

/** A refusal by a volume, as a program in the box gets to see it. */
export class VolumeError extends Error {
  constructor(
    readonly errno: ErrnoName,
    options?: ErrorOptions,
  ) {
    super(errno, options);
  }
}

/** Returns the error of a file system's refusal, by the `code` of the host's error. What has no code that Linux knows is EIO. */
export function volumeErrorOf(cause: unknown): VolumeError {
  if (cause instanceof VolumeError) return cause;
  const { code } = cause as { code?: unknown };
  // Node's other name of the same number.
  if (code === "ENOTSUP") return new VolumeError("EOPNOTSUPP", { cause });
  const known = typeof code === "string" && Object.hasOwn(ERRNO, code);
  return new VolumeError(known ? (code as ErrnoName) : "EIO", { cause });
}
