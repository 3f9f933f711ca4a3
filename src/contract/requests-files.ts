/** Schemas by which a server reads the bodies of file operations: see requests.ts. */
import * as z from "zod/mini";
import { readPath } from "./names.js";
import { optional, permissions } from "./schemas.js";
import type { FileOperation } from "./types.js";

const DEFAULT_MODE = 0o755;

const optionalText = optional(z.string());
const flag = optional(z.boolean());
const pathFields = { path: optionalText, path_b64: optionalText };

/** Schema of the body of `POST .../files/watch`. */
export const watchRequest = z.pipe(
  z.object({ ...pathFields, recursive: flag }),
  z.transform(({ path, path_b64, recursive }, context) => ({
    path: readPath(context, "path", path, path_b64),
    recursive: recursive ?? false,
  })),
);

/** Schemas of the bodies of the file operations, by the name of the operation. */
export const fileRequests = {
  stat: z.pipe(
    z.object({ ...pathFields, follow_links: flag }),
    z.transform(({ path, path_b64, follow_links }, context): FileOperation => {
      return {
        op: "stat",
        path: readPath(context, "path", path, path_b64),
        followLinks: follow_links ?? true,
      };
    }),
  ),
  list: z.pipe(
    z.object(pathFields),
    z.transform(({ path, path_b64 }, context): FileOperation => {
      return { op: "list", path: readPath(context, "path", path, path_b64) };
    }),
  ),
  mkdir: z.pipe(
    z.object({ ...pathFields, mode: optional(permissions), recursive: flag }),
    z.transform(({ path, path_b64, mode, recursive }, context): FileOperation => {
      return {
        op: "mkdir",
        path: readPath(context, "path", path, path_b64),
        mode: mode ?? DEFAULT_MODE,
        recursive: recursive ?? false,
      };
    }),
  ),
  rename: z.pipe(
    z.object({ ...pathFields, to: optionalText, to_b64: optionalText }),
    z.transform(({ path, path_b64, to, to_b64 }, context): FileOperation => {
      return {
        op: "rename",
        path: readPath(context, "path", path, path_b64),
        to: readPath(context, "to", to, to_b64),
      };
    }),
  ),
  remove: z.pipe(
    z.object(pathFields),
    z.transform(({ path, path_b64 }, context): FileOperation => {
      return { op: "remove", path: readPath(context, "path", path, path_b64) };
    }),
  ),
} satisfies Record<FileOperation["op"], z.ZodMiniType<FileOperation>>;
