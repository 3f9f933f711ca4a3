/** Settings that whoever serves the page chose: `settings.json` beside it, which `boxrun site` writes. */
export interface Settings {
  /** Address of the origin for previews. Without one, the page shows no servers of boxes. */
  readonly previewUrl?: string;
  /** Address of the relay by which boxes reach the network. Without one, they have the page's fetch. */
  readonly relay?: string;
}

/** Fetches the settings. Rejects when there are none, or they are not what they should be. */
export async function loadSettings(): Promise<Settings> {
  const response = await fetch("settings.json");
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: write the site anew`);
  const { previewUrl, relay } = await response.json().catch(() => {
    throw new Error(`${response.url} is not JSON: write the site anew`);
  });
  return {
    ...(typeof previewUrl === "string" && { previewUrl }),
    ...(typeof relay === "string" && { relay }),
  };
}
