/** Name of the method by which Node, Deno and Bun show an object in `console.log`. */
export const inspect = Symbol.for("nodejs.util.inspect.custom");
