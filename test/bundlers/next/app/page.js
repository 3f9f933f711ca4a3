"use client";

import { BoxRunClient } from "boxrun";
import { useEffect, useState } from "react";

export default function Page() {
  const [output, setOutput] = useState("");
  useEffect(() => {
    const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
    client.run("tiny", ["echo", "hello from a box"], { memoryMb: 256 }).then(
      ({ stdout }) => setOutput(stdout),
      (error) => setOutput(String(error)),
    );
    return () => void client.close();
  }, []);
  return <pre>{output}</pre>;
}
