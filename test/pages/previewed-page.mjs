/** Returns the next message of a previewed page. */
export function heard() {
  return new Promise((resolve) => {
    const listen = ({ data }) => {
      if (typeof data !== "object") return;
      removeEventListener("message", listen);
      resolve(data);
    };
    addEventListener("message", listen);
  });
}
