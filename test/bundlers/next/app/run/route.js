import { BoxRunClient } from "boxrun";

export const dynamic = "force-dynamic";

export async function GET() {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  try {
    const { stdout } = await client.run("tiny", ["echo", "hello from a box"], { memoryMb: 256 });
    return new Response(stdout);
  } finally {
    await client.close();
  }
}
