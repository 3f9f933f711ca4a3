import type { Backend, BackendPorts, BackendPreview, Connection } from "../backend/backend.js";
import { type CallOptions, withSignal } from "../backend/call.js";
import { unsupported } from "../backend/errors.js";
import { requirePort } from "../backend/ports.js";
import { requireOptions } from "../backend/validate.js";
import { asyncDispose } from "../util/dispose.js";
import { canListen, forwardFrom } from "./forward.js";
import type { Preview } from "./port-types.js";
import { portsOf } from "./ports.js";

/** Opens a preview of a port: on the server, or else on a port of this machine. Implements `BoxHandle.preview`, which documents it. */
export async function previewPort(
  backend: Backend,
  boxId: string,
  port: number,
  connect: () => Promise<Connection>,
  options: CallOptions = {},
): Promise<Preview> {
  requirePort(port);
  requireOptions(options, { signal: true });
  const { signal } = options;
  const ports = portsOf(backend);
  const opening = withSignal(signal, async () => {
    const opened = await (ports.preview?.(boxId, port) ?? forwarded(backend, ports, boxId, port, connect));
    if (!signal?.aborted) return opened;
    // Its caller has gone.
    await opened.close();
    throw signal.reason;
  });
  const opened = await opening;
  let closing: Promise<void> | undefined;
  const closeOnce = () => {
    closing ??= opened.close();
    return closing;
  };
  return { url: opened.url, close: closeOnce, [asyncDispose]: closeOnce };
}

async function forwarded(
  backend: Backend,
  ports: BackendPorts,
  boxId: string,
  port: number,
  connect: () => Promise<Connection>,
): Promise<BackendPreview> {
  if (!canListen())
    throw unsupported(
      "preview needs a runtime that can listen on ports, or a server",
      "use box.fetch, a client of boxrun serve, or local.previewUrl in a page",
    );
  const box = { connect, refresh: () => backend.getBox(boxId), ports: { list: () => ports.list(boxId) } };
  const forwarding = await forwardFrom(box, port);
  return { url: `${forwarding.url}/`, close: () => forwarding.close() };
}
