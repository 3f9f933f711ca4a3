import { ROUTES, type RouteName, type RouteParams, routePath } from "../../contract/routes.js";
import type { RequestLine } from "./failures.js";

/** A request to a route of the table. */
export interface Call {
  params?: RouteParams;
  query?: Record<string, string>;
  json?: object;
  body?: { content: BodyInit; contentType: string };
  signal?: AbortSignal;
  /**
   * Time limit in milliseconds for the answer: all of it for JSON, the headers for a stream. Infinity: the caller has a timer of its own.
   * @default `requestMs`
   */
  withinMs?: number;
  /**
   * Number of retries. A number may be given only for a request that changes nothing.
   * @default 3 for a GET, 0 for all others, which may have been carried out
   */
  retries?: number;
  /** True: the request cleans up after a caller that has gone, and may go on for a moment when this client closes. "late": it may begin after that, too. */
  outlives?: true | "late";
}

/** Number of retries of a request that changes nothing. */
export const DEFAULT_RETRIES = 3;

/** Describes a request for errors. */
export function lineOf(name: RouteName, { params, retries }: Call): RequestLine {
  const { method } = ROUTES[name];
  // Transferring a file twice has the same result as once.
  const again = method !== "POST" || !!retries || name === "upload" || name === "download";
  return { method, path: routePath(name, params), again };
}
