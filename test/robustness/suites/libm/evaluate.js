// Lines of "NAME X" or "NAME X Y"; prints the function's value of each. For qjs.
import * as std from "qjs:std";

const functions = {
  ...Object.fromEntries(Object.getOwnPropertyNames(Math).map((name) => [name, Math[name]])),
  fmod: (x, y) => x % y,
};
const results = [];
for (let line = std.in.getline(); line !== null; line = std.in.getline()) {
  const [name, ...numbers] = line.split(" ");
  results.push(functions[name](...numbers.map(Number)));
}
std.out.puts(`${results.join("\n")}\n`);
