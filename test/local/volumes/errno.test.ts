import { expect, it } from "vitest";
import { VolumeError, volumeErrorOf } from "../../../src/local/volumes/errno.js";

it.each([
  [{ code: "ENOENT" }, "ENOENT"],
  [{ code: "ENOTSUP" }, "EOPNOTSUPP"],
  [{ code: "ERR_INVALID_ARG_VALUE" }, "EIO"],
  [{ code: "constructor" }, "EIO"],
  [new TypeError("not of a file system"), "EIO"],
  [new VolumeError("EROFS"), "EROFS"],
])("an error of the host is one that Linux knows: %o is %s", (cause, errno) => {
  expect(volumeErrorOf(cause).errno).toBe(errno);
});
