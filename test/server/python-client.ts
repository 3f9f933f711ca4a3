import { request } from "node:http";
import { text } from "node:stream/consumers";
import { Agent, WebSocket } from "undici";

/** Where a server listens. */
export type Address = { baseUrl: string } | { socketPath: string };

/** An answer, its body as text and, where it is some, as JSON. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: it is what a client without types sees
  json: any;
}

/** Requests as the Python SDK's HTTP client sends them: its headers, its order of a form's parts, `localhost` as the host of a socket. */
export class PythonClient {
  constructor(private readonly address: Address) {}

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("GET", path, { headers });
  }

  delete(path: string): Promise<Answer> {
    return this.send("DELETE", path, {});
  }

  /** Without a body there is no content type either. */
  post(path: string, json?: unknown): Promise<Answer> {
    if (json === undefined) return this.send("POST", path, { headers: { "content-length": "0" } });
    const body = JSON.stringify(json);
    return this.send("POST", path, { headers: { "content-type": "application/json" }, body });
  }

  /** A form: fields first, then the file. */
  form(
    path: string,
    fields: Record<string, string>,
    file?: { name: string; bytes: string },
  ): Promise<Answer> {
    const boundary = "0f5a1c3e7b9d2846";
    const parts = Object.entries(fields).map(
      ([name, value]) =>
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    if (file) {
      const head = `Content-Disposition: form-data; name="file"; filename="${file.name}"`;
      parts.push(`--${boundary}\r\n${head}\r\nContent-Type: text/plain\r\n\r\n${file.bytes}\r\n`);
    }
    const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
    return this.send("POST", path, { headers, body: `${parts.join("")}--${boundary}--\r\n` });
  }

  /** The events of an execution, to their end. */
  async events(
    path: string,
  ): Promise<{ event: string; data: { stream: string | null; data: string; seq: number } }[]> {
    const headers = { accept: "text/event-stream", "cache-control": "no-store" };
    const answer = await this.get(path, headers);
    const events = answer.text.split("\n\n").filter((block) => /^event:/m.test(block));
    return events.map((block) => ({
      event: /^event: ?(.*)$/m.exec(block)?.[1] ?? "",
      data: JSON.parse(/^data: ?(.*)$/m.exec(block)?.[1] ?? ""),
    }));
  }

  /** A terminal. */
  attach(path: string): { socket: WebSocket; close: () => Promise<void> } {
    const socketPath = "socketPath" in this.address ? this.address.socketPath : undefined;
    const dispatcher = new Agent(socketPath === undefined ? {} : { connect: { socketPath } });
    const socket = new WebSocket(`${this.baseUrl.replace("http", "ws")}${path}`, { dispatcher });
    socket.binaryType = "arraybuffer";
    return { socket, close: () => dispatcher.close() };
  }

  private get baseUrl(): string {
    return "baseUrl" in this.address ? this.address.baseUrl : "http://localhost";
  }

  private send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: string },
  ): Promise<Answer> {
    const url = new URL(path, this.baseUrl);
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const options = {
      method,
      ...("socketPath" in this.address && { socketPath: this.address.socketPath }),
      headers: {
        accept: "*/*",
        "accept-encoding": "gzip, deflate",
        "user-agent": "python-httpx/0.28.1",
        ...headers,
        ...length,
      },
    };
    return new Promise((resolve, reject) => {
      const sent = request(url, options, async (response) => {
        const { statusCode = 0 } = response;
        const all = await text(response);
        resolve({ status: statusCode, headers: response.headers, text: all, json: parse(all) });
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }
}

function parse(all: string): unknown {
  try {
    return JSON.parse(all);
  } catch {
    return undefined;
  }
}
