/**
 * Every route of the BoxRun API, once. The client makes its requests from this table and the server finds its handlers by it.
 *
 * `{box}` is an id or a name, `{exec}` an id. A path may end in an action, ":stop", which is not part of the parameter before it.
 * `extension` is the capability (of `GET /v1/info`) without which a server does not have the route; without one, every BoxRun server has it.
 */
export const ROUTES = {
  info: { method: "GET", path: "/v1/info" },
  images: { method: "GET", path: "/v1/images", extension: "images" },
  createBox: { method: "POST", path: "/v1/boxes" },
  listBoxes: { method: "GET", path: "/v1/boxes" },
  getBox: { method: "GET", path: "/v1/boxes/{box}" },
  removeBox: { method: "DELETE", path: "/v1/boxes/{box}" },
  stopBox: { method: "POST", path: "/v1/boxes/{box}:stop" },
  startBox: { method: "POST", path: "/v1/boxes/{box}:start" },
  usage: { method: "GET", path: "/v1/boxes/{box}/usage", extension: "usage" },
  startExec: { method: "POST", path: "/v1/boxes/{box}/exec" },
  listExecs: { method: "GET", path: "/v1/boxes/{box}/execs" },
  getExec: { method: "GET", path: "/v1/boxes/{box}/exec/{exec}" },
  execEvents: { method: "GET", path: "/v1/boxes/{box}/exec/{exec}/events" },
  cancelExec: { method: "POST", path: "/v1/boxes/{box}/exec/{exec}:cancel" },
  signalExec: { method: "POST", path: "/v1/boxes/{box}/exec/{exec}:signal", extension: "signal" },
  writeStdin: { method: "POST", path: "/v1/boxes/{box}/exec/{exec}/stdin", extension: "stdin" },
  attach: { method: "GET", path: "/v1/boxes/{box}/attach" },
  upload: { method: "POST", path: "/v1/boxes/{box}/files/upload" },
  download: { method: "POST", path: "/v1/boxes/{box}/files/download" },
  statFile: { method: "POST", path: "/v1/boxes/{box}/files/stat", extension: "files" },
  listFiles: { method: "POST", path: "/v1/boxes/{box}/files/list", extension: "files" },
  makeDirectory: { method: "POST", path: "/v1/boxes/{box}/files/mkdir", extension: "files" },
  renameFile: { method: "POST", path: "/v1/boxes/{box}/files/rename", extension: "files" },
  removeFile: { method: "POST", path: "/v1/boxes/{box}/files/remove", extension: "files" },
  run: { method: "POST", path: "/v1/run" },
  gc: { method: "POST", path: "/v1/gc" },
} as const satisfies Record<string, Route>;

/** One route of the API. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly extension?: string;
}

/** The name of a route. */
export type RouteName = keyof typeof ROUTES;
/** What stands for the parameters of a path. */
export type RouteParams = Partial<Record<"box" | "exec", string>>;

/** The path of a request, its parameters encoded: whatever they contain, they stay one segment. */
export function routePath(name: RouteName, params: RouteParams = {}): string {
  return ROUTES[name].path.replace(/\{(box|exec)\}/g, (_, key: "box" | "exec") =>
    encodeSegment(params[key] ?? ""),
  );
}

/** What a request's method and path mean. */
export type RouteMatch =
  | { type: "route"; name: RouteName; params: RouteParams }
  /** There is such a path, for other methods. */
  | { type: "method"; allow: string[] }
  /** POST to a thing that takes actions, with an unknown one or none. */
  | { type: "action"; action: string | null }
  | { type: "none" };

interface Pattern {
  name: RouteName;
  method: string;
  /** Names of the parameters, in order. */
  keys: ("box" | "exec")[];
  path: RegExp;
}

const PATTERNS: Pattern[] = Object.entries(ROUTES).map(([name, { method, path }]) => {
  const keys: Pattern["keys"] = [];
  const source = path.replace(/\{(box|exec)\}/g, (_, key) => {
    keys.push(key);
    return "([^/:]+)";
  });
  return { name: name as RouteName, method, keys, path: new RegExp(`^${source}$`) };
});

/** Things that POST acts on: "/v1/boxes/{box}" and "/v1/boxes/{box}/exec/{exec}". */
const ACTION_PATH = /^\/v1\/boxes\/[^/:]+(?:\/exec\/[^/:]+)?(?::([^/]*))?$/;

/** Finds the route of a request by its method and the path of its URL, as it stands there, encoded. */
export function matchRoute(method: string, path: string): RouteMatch {
  const allow: string[] = [];
  for (const pattern of PATTERNS) {
    const match = pattern.path.exec(path);
    if (!match) continue;
    if (pattern.method !== method) {
      allow.push(pattern.method);
      continue;
    }
    const params: RouteParams = {};
    for (const [i, key] of pattern.keys.entries()) {
      const value = decodeSegment(match[i + 1]!);
      if (value === undefined) return { type: "none" };
      params[key] = value;
    }
    return { type: "route", name: pattern.name, params };
  }
  const action = method === "POST" ? ACTION_PATH.exec(path) : null;
  if (action) return { type: "action", action: action[1] || null };
  return allow.length > 0 ? { type: "method", allow } : { type: "none" };
}

/**
 * encodeURIComponent leaves "." and "..". Encoded they are right on the wire, but those who build a URL object take them out of the path even so: who may be given
 * such a name has to refuse it before.
 */
function encodeSegment(value: string): string {
  return /^\.{1,2}$/.test(value) ? value.replaceAll(".", "%2E") : encodeURIComponent(value);
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
