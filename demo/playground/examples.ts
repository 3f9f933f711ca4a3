/** An example to start a project from, as the build packs it from demo/examples. */
export interface Example {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Name of the image that its box needs. */
  readonly image: string;
  /** Command that Run starts, in the project's folder. */
  readonly command: string;
  /** Path of the file that is open at first. */
  readonly open: string;
  /** Texts of its files by their paths. */
  readonly files: Readonly<Record<string, string>>;
}

/** Project that is no example of anything. */
export const EMPTY: Example = {
  id: "empty",
  title: "Empty project",
  description: "A shell script to begin with, in a box of any image. Add or drop files.",
  image: "",
  command: "sh main.sh",
  open: "/main.sh",
  files: { "/main.sh": 'echo "Hello from $(uname -sm)"\n' },
};

/** Fetches the examples, which are beside the page. */
export async function loadExamples(): Promise<Example[]> {
  const response = await fetch("examples.json");
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
  return response.json();
}
