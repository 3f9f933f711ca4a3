/** Schemas of the secrets of a box. Apart from the others: few clients need them. */
import * as z from "zod/mini";
import { matching, nonEmpty } from "./schemas.js";

const MAX_SECRETS = 32;
const MAX_HOSTS = 32;
const MAX_VALUE = 8192;

const secret = z.strictObject({
  value: z.string().check(
    matching(
      // Servers commonly take 8 kB in a header, and a line break would end it.
      new RegExp(`^[\\x21-\\x7e](?:[\\x20-\\x7e]{0,${MAX_VALUE - 2}}[\\x21-\\x7e])?$`),
      `must be 1 to ${MAX_VALUE} visible ASCII characters, with no space or line break at either end`,
    ),
  ),
  hosts: z
    .array(nonEmpty)
    .check(
      z.refine(
        (hosts) => hosts.length >= 1 && hosts.length <= MAX_HOSTS,
        `must name 1 to ${MAX_HOSTS} servers`,
      ),
    ),
});

/** Schema of secrets, by the names of their environment variables. What their hosts mean is checked by network/secrets.ts. */
export const secretsSchema = z
  .record(
    z
      .string()
      .check(matching(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be the name of an environment variable")),
    secret,
  )
  .check(
    z.refine(
      (secrets) => Object.keys(secrets).length <= MAX_SECRETS,
      `must be at most ${MAX_SECRETS} secrets`,
    ),
  );
