/** The log of a box's network on the wire. Apart from wire.ts: few clients read it. */
import * as z from "zod/mini";
import { optional } from "./schemas.js";
import type { NetworkFailure, NetworkLogEntry } from "./types.js";
import { time } from "./wire.js";

/** Schema of the answer to `GET .../network/log`. */
export const wireNetworkLog = z.pipe(
  z.object({
    connections: z.array(
      z.object({
        at: time,
        host: z.string(),
        port: z.number(),
        address: optional(z.string()),
        verdict: z.string(),
        rule: optional(z.string()),
        error: optional(z.string()),
        reason: optional(z.string()),
        message: optional(z.string()),
        sent_bytes: z.number(),
        received_bytes: z.number(),
        ended_at: optional(time),
      }),
    ),
  }),
  z.transform(({ connections }): NetworkLogEntry[] =>
    connections.map(({ at, host, port, address, verdict, rule, error, reason, message, ...rest }) => ({
      ...{ at, host, port },
      ...(address !== null && { address }),
      verdict: verdict === "denied" ? "denied" : "allowed",
      ...(rule !== null && { rule }),
      ...(error !== null && { error }),
      // A server of a later version may send others.
      ...(isFailure(reason) && { reason }),
      ...(message !== null && { message }),
      ...{ sentBytes: rest.sent_bytes, receivedBytes: rest.received_bytes },
      ...(rest.ended_at && { endedAt: rest.ended_at }),
    })),
  ),
);

const FAILURES: readonly NetworkFailure[] = ["not found", "dialer failed", "relay", "refused"];

function isFailure(reason: string | null): reason is NetworkFailure {
  return FAILURES.some((failure) => failure === reason);
}

/** Writes the answer to `GET .../network/log`. */
export function toWireNetworkLog(entries: readonly NetworkLogEntry[]): object {
  const connections = entries.map(({ at, sentBytes, receivedBytes, endedAt, ...rest }) => ({
    at: at.toISOString(),
    ...rest,
    ...{ sent_bytes: sentBytes, received_bytes: receivedBytes },
    ...(endedAt && { ended_at: endedAt.toISOString() }),
  }));
  return { connections };
}
