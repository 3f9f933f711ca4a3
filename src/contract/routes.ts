/**
 * All routes of the BoxRun API. The client builds its requests from this table, and the server finds its handlers by it.
 *
 * `{box}` is an id or a name, `{exec}` an id, `{port}` a number, `{preview}` an id. A path may end in an action, such as ":stop", which is not part of the parameter before it.
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
  watchFiles: { method: "POST", path: "/v1/boxes/{box}/files/watch", extension: "watch" },
  listPorts: { method: "GET", path: "/v1/boxes/{box}/ports", extension: "ports" },
  connectPort: { method: "GET", path: "/v1/boxes/{box}/ports/{port}/connect", extension: "ports" },
  openPreview: { method: "POST", path: "/v1/boxes/{box}/ports/{port}/preview", extension: "ports" },
  closePreview: {
    method: "DELETE",
    path: "/v1/boxes/{box}/ports/{port}/preview/{preview}",
    extension: "ports",
  },
  updateNetwork: { method: "PUT", path: "/v1/boxes/{box}/network", extension: "network" },
  networkLog: { method: "GET", path: "/v1/boxes/{box}/network/log", extension: "network" },
  run: { method: "POST", path: "/v1/run" },
  gc: { method: "POST", path: "/v1/gc" },
} as const satisfies Record<string, Route>;

/** A route of the API. */
export interface Route {
  /** HTTP method. */
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path with its parameters in braces: "/v1/boxes/{box}". */
  readonly path: string;
  /** Capability in `GET /v1/info` of a server that has the route. Absent: every BoxRun server has it. */
  readonly extension?: string;
}

/** Name of a route in {@link ROUTES}. */
export type RouteName = keyof typeof ROUTES;
/** Name of a parameter of a path. */
type Param = "box" | "exec" | "port" | "preview";
/** Values for the parameters of a path. */
export type RouteParams = Partial<Record<Param, string>>;

/**
 * Returns the path of a request. Parameters are encoded, and stay one segment whatever they contain.
 *
 * @example
 * routePath("stopBox", { box: "demo" });   // "/v1/boxes/demo:stop"
 */
export function routePath(name: RouteName, params: RouteParams = {}): string {
  return ROUTES[name].path.replace(/\{(box|exec|port|preview)\}/g, (_, key: Param) =>
    encodeSegment(params[key] ?? ""),
  );
}

/** Result of {@link matchRoute}: a route, or the reason why there is none. */
export type RouteMatch =
  | {
      type: "route";
      /** Name of the route. */
      name: RouteName;
      /** Parameters of the path, decoded. */
      params: RouteParams;
    }
  /** The path exists, but not for this method. */
  | {
      type: "method";
      /** Methods that the path has. */
      allow: string[];
    }
  /** A POST to a box or an execution with an unknown action, or without one. */
  | {
      type: "action";
      /** The unknown action; null when there is none. */
      action: string | null;
    }
  | { type: "none" };

interface Pattern {
  name: RouteName;
  method: string;
  /** Names of the parameters, in order. */
  keys: Param[];
  path: RegExp;
}

const PATTERNS: Pattern[] = Object.entries(ROUTES).map(([name, { method, path }]) => {
  const keys: Pattern["keys"] = [];
  const source = path.replace(/\{(box|exec|port|preview)\}/g, (_, key) => {
    keys.push(key);
    return "([^/:]+)";
  });
  return { name: name as RouteName, method, keys, path: new RegExp(`^${source}$`) };
});

/** Resources that take actions by POST: "/v1/boxes/{box}" and "/v1/boxes/{box}/exec/{exec}". */
const ACTION_PATH = /^\/v1\/boxes\/[^/:]+(?:\/exec\/[^/:]+)?(?::([^/]*))?$/;

/**
 * Finds the route of a request by its method and the path of its URL, still encoded.
 *
 * @example
 * matchRoute("POST", "/v1/boxes/demo:stop");   // { type: "route", name: "stopBox", params: { box: "demo" } }
 */
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
 * encodeURIComponent leaves "." and ".." as they are. They are encoded here, which is right on the wire, but a URL object still removes them from its path:
 * callers that can be given such a name must refuse it first.
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
