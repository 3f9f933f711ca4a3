import { Agent } from "undici";

/** What Node's fetch sends requests with, through the Unix socket at `path`. Its clocks are off: the client has its own. */
export function openAgent(path: string): { dispatcher: object; close: () => void } {
  const agent = new Agent({ connect: { socketPath: path }, headersTimeout: 0, bodyTimeout: 0 });
  return { dispatcher: agent, close: () => void agent.destroy().catch(() => {}) };
}
