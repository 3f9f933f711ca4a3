import { BoxRunClient } from "boxrun";

const output = document.querySelector("pre");
const client = new BoxRunClient({ backend: "local" });
try {
  const { stdout } = await client.run("tiny", ["echo", "hello from a box"], { memoryMb: 256 });
  output.textContent = stdout;
} catch (error) {
  output.textContent = String(error);
} finally {
  await client.close();
}
