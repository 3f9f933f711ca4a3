import type { Backend, BackendPorts, PortInfo } from "../backend/backend.js";
import { type CallOptions, callOptions, withSignal } from "../backend/call.js";
import { BoxRunError, invalid, unsupported } from "../backend/errors.js";
import { requirePort } from "../backend/ports.js";
import { requireOptions, shown } from "../backend/validate.js";
import { pause } from "../util/timer.js";
import { OpenConnection } from "./box-connection.js";
import type { BoxConnection, WaitForPortOptions } from "./port-types.js";

/** Interval of the polls for a port that somebody waits for. A look takes the guest about a millisecond. */
const WAIT_STEP_MS = 100;
/** Interval of the polls of a watched list. */
const WATCH_STEP_MS = 500;
const DEFAULT_WAIT_MS = 60_000;

/** Implements {@link BoxPorts.list}. */
export function listPorts(backend: Backend, boxId: string, options: CallOptions): Promise<PortInfo[]> {
  requireOptions(options, { signal: true });
  return withSignal(options.signal, () => portsOf(backend).list(boxId, callOptions(options.signal)));
}

/** Implements {@link BoxPorts.waitFor}. */
export async function waitForPort(
  backend: Backend,
  boxId: string,
  port: number,
  options: WaitForPortOptions,
): Promise<PortInfo> {
  requirePort(port);
  requireOptions(options, { timeoutMs: true, signal: true });
  const { timeoutMs = DEFAULT_WAIT_MS, signal } = options;
  if (!Number.isFinite(timeoutMs) || timeoutMs <= 0)
    throw invalid(`timeoutMs must be greater than 0, got ${shown(timeoutMs)}`);
  for (const until = Date.now() + timeoutMs; ; ) {
    const found = (await listPorts(backend, boxId, callOptions(signal))).find((one) => one.port === port);
    if (found) return found;
    if (Date.now() >= until)
      throw new BoxRunError("PORT_CLOSED", `nothing listened on port ${port} within ${timeoutMs} ms`, {
        retryable: true,
        hint: "see whether the server runs, and what it has printed",
      });
    await pause(Math.min(WAIT_STEP_MS, Math.max(1, until - Date.now())), signal);
  }
}

/** Implements {@link BoxPorts.watch}. */
export async function* watchPorts(
  backend: Backend,
  boxId: string,
  options: CallOptions,
): AsyncGenerator<PortInfo[], void, undefined> {
  for (let seen = ""; ; ) {
    const ports = await listPorts(backend, boxId, options);
    const now = JSON.stringify(ports);
    if (now !== seen) yield ports;
    seen = now;
    await pause(WATCH_STEP_MS, options.signal);
  }
}

/** Connects to a port of a box. Implements `BoxHandle.connect`. */
export async function connectTo(
  backend: Backend,
  boxId: string,
  port: number,
  options: CallOptions = {},
): Promise<BoxConnection> {
  requirePort(port);
  requireOptions(options, { signal: true });
  const { signal } = options;
  const connecting = portsOf(backend).connect(boxId, port, callOptions(signal));
  // One that is there after its caller has gone.
  connecting.then((late) => (signal?.aborted ? late.close() : undefined)).catch(() => {});
  return new OpenConnection(await withSignal(signal, () => connecting), port);
}

/** Returns the ports of a backend. @throws {BoxRunError} UNSUPPORTED when it has none */
export function portsOf(backend: Backend): BackendPorts {
  if (backend.ports) return backend.ports;
  const reason = backend.capabilities.ports;
  const why = typeof reason === "string" ? reason : "this backend has no connections to servers in boxes";
  throw unsupported(`ports: ${why}`, 'run a client in the box: box.exec("wget -qO- http://127.0.0.1:8000")');
}
