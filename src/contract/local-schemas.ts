/** Schemas of the options of the local backend. Apart from the others: a client of servers alone needs none of them. */
import * as z from "zod/mini";
import {
  absolutePath,
  atLeast,
  execFields,
  matching,
  networkRules,
  nonEmpty,
  positive,
  text,
  wholeNumber,
} from "./schemas.js";

const warmBoxes = z.strictObject({
  image: nonEmpty,
  memoryMb: z.optional(positive),
  count: z.optional(wholeNumber.check(atLeast(0))),
  warmUp: z.optional(execFields.cmd),
});

const imagePackage = z.object({
  name: z.string().check(matching(/^[a-z0-9][a-z0-9.-]{0,99}$/, "must be the name of an image")),
  assets: nonEmpty,
});

/** An object of the caller's, or of a class of his: it is passed on as it is. */
const dialer = z.custom(
  (value) => typeof (value as { connect?: unknown } | null)?.connect === "function",
  "must be an object with a function connect",
);

/** Schema of the options of the local backend. */
export const localOptionsSchema = z.strictObject({
  assets: z.optional(text),
  images: z.optional(z.array(imagePackage)),
  state: z.optional(nonEmpty),
  cache: z.optional(nonEmpty),
  persistent: z.optional(z.boolean()),
  durability: z.optional(z.string().check(matching(/^(relaxed|strict)$/, 'must be "relaxed" or "strict"'))),
  network: z.optional(z.union([z.boolean(), networkRules])),
  dialer: z.optional(dialer),
  relay: z.optional(nonEmpty),
  volumes: z.optional(
    z.union([z.literal(false), z.strictObject({ within: z.array(absolutePath) })], {
      error: "must be false or an object",
    }),
  ),
  previewUrl: z.optional(nonEmpty),
  strictImages: z.optional(z.boolean()),
  warm: z.optional(z.array(warmBoxes)),
  maxTotalMemoryMb: z.optional(positive),
  memoryMb: z.optional(positive),
  pauseHidden: z.optional(z.boolean()),
  logLimitBytes: z.optional(wholeNumber.check(atLeast(0))),
});
