/** Messages between an application's page, the frame of its previews' origin, and that origin's service worker. */

import type { Pong } from "./pulse.js";

/** Names of the files that the origin of previews serves. */
export const FILES = {
  page: "preview.html",
  frame: "preview-frame.js",
  worker: "preview-worker.js",
  socket: "preview-socket.js",
} as const;

/** First message of the page, to the frame. With it comes a port, on which the frame answers. */
export const HELLO = "boxrun-preview";

/** Answer of the frame on its port: previews work from now on, or why they do not. */
export type FrameAnswer = { type: "ready" } | { type: "failed"; reason: string };

/** A request of the previewed page. With it comes a port for {@link ResponsePart} and {@link ReaderMessage}. */
export interface PreviewRequest {
  type: "request";
  method: string;
  /** Path and query. */
  path: string;
  headers: [name: string, value: string][];
  body: ArrayBuffer | undefined;
}

/** A part of the answer to a request. */
export type ResponsePart =
  | { type: "head"; status: number; statusText: string; headers: [name: string, value: string][] }
  | { type: "chunk"; bytes: Uint8Array<ArrayBuffer> }
  | { type: "end" }
  | { type: "error"; message: string };

/** Message of the service worker to the sender of an answer: the next chunk may come, or none is wanted any more. */
export type ReaderMessage = { type: "pull" } | { type: "cancel" } | Pong;

/** A WebSocket that the previewed page opens. With it comes a port for {@link SocketEvent} and {@link SocketCall}. */
export interface PreviewSocket {
  type: "socket";
  /** Path and query. */
  path: string;
  protocols: string[];
}

/** An event of a WebSocket. */
export type SocketEvent =
  | { type: "open"; protocol: string }
  | { type: "message"; data: string | Uint8Array<ArrayBuffer> }
  | { type: "close"; code: number; reason: string };

/** Code of a WebSocket that was cut. */
export const CUT = 1006;

/** A call of the previewed page on a WebSocket. */
export type SocketCall =
  | Pong
  | { type: "send"; data: string | Uint8Array<ArrayBuffer> }
  | { type: "close"; code: number | undefined; reason: string };
