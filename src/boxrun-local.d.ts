/** The package by its own name: its exports choose the build for browsers or for Node. */
declare module "boxrun/local" {
  export function createLocalBackend(
    options?: import("./local/local-backend.js").LocalOptions,
  ): import("./backend.js").Backend;
}
