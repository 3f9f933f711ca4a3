import { entryOf, examples } from "./public-api.js";

/** What an example of a doc comment takes for granted, beside a client, a box and the package's exports: names and their types. */
const GIVEN = {
  body: "ReadableStream<Uint8Array>",
  createMyBackend: '() => import("boxrun").Backend',
  Deno: `{
    serve(handler: (request: Request) => Promise<Response>): void;
    upgradeWebSocket(request: Request, options: { protocol: string }): {
      socket: Omit<WebSocket, "send"> & { send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void };
      response: Response;
    };
  }`,
  error: "unknown",
  execution: 'import("boxrun").Execution',
  fetchToken: "() => Promise<string>",
  handler: 'import("boxrun/server").Handler',
  worker: "Worker",
  xterm: "{ write(bytes: Uint8Array): void; onData(listener: (text: string) => void): void }",
};

/** A test runner, for the example of `contractSuite`. */
export const VITEST = `
declare module "vitest" {
  type Runner = import("boxrun/testing").Runner;
  export const describe: Runner["describe"];
  export const it: Runner["it"];
  export const beforeAll: Runner["beforeAll"];
  export const afterAll: Runner["afterAll"];
  export const expect: Runner["expect"];
}
`;

/** The parts of Node that snippets import: the project has no other types of it. */
export const NODE = `
declare module "node:events" {
  export function once(source: object, event: string, options?: { signal?: AbortSignal }): Promise<unknown[]>;
}
declare module "node:net" {
  export interface AddressInfo { port: number }
  export class Socket {
    on(event: "data", listener: (bytes: Uint8Array) => void): this;
    on(event: "end", listener: () => void): this;
    on(event: "error", listener: (error: Error) => void): this;
    write(bytes: Uint8Array, done: (error?: Error | null) => void): boolean;
    end(done: () => void): this;
    end(text: string): this;
    pause(): this;
    resume(): this;
    destroy(): this;
  }
  export class Server {
    listen(port: number, host: string): this;
    address(): AddressInfo | string | null;
  }
  export function connect(options: { host: string; port: number; allowHalfOpen: boolean }): Socket;
  export function createServer(listener: (socket: Socket) => void): Server;
}
`;

/** The examples of all public doc comments, with the imports and declarations that they leave out. */
export function exampleSnippets(): { place: string; code: string }[] {
  return [...examples].map(([place, code]) => {
    const uses = (name: string) => new RegExp(`\\b${name}\\b`).test(code);
    const declares = (name: string) => new RegExp(`\\b(const|let|using) ${name}\\b`).test(code);
    // Other exports of a lower-case name are schemas, named like the fields of results.
    const calls = (name: string) => new RegExp(`(?<![.\\w])${name}\\(`).test(code);
    const imports = [...entryOf]
      .filter(([name]) => !code.includes(`import { ${name} }`))
      .filter(([name]) => (/^[A-Z]/.test(name) ? uses(name) : calls(name)))
      .map(([name, entry]) => `import { ${name} } from "${entry}";`);
    const given = Object.entries(GIVEN)
      .filter(([name]) => uses(name) && !declares(name))
      .map(([name, type]) => `declare const ${name}: ${type};`);
    return { place, code: [...imports, ...given, code].join("\n") };
  });
}
