import type { ProjectRecord } from "./project-store.js";

const keyOf = ({ id }: ProjectRecord) => `boxrun-draft-${id}`;

/** Text of the file that was open when a page went before it was kept as other files are. */
export interface Draft {
  readonly path: string;
  readonly text: string;
}

/** Keeps a draft at once, as nothing else that a browser has does. */
export function keepDraft(project: ProjectRecord, draft: Draft): void {
  try {
    localStorage.setItem(keyOf(project), JSON.stringify(draft));
  } catch {
    // A browser may refuse storage, or have no room: then at most the last half second is lost.
  }
}

/** Returns the draft of a project, if there is one. */
export function readDraft(project: ProjectRecord): Draft | undefined {
  try {
    const draft = JSON.parse(localStorage.getItem(keyOf(project)) ?? "null") as Partial<Draft> | null;
    const { path, text } = draft ?? {};
    return typeof path === "string" && typeof text === "string" ? { path, text } : undefined;
  } catch {
    return undefined;
  }
}

/** Forgets the draft of a project. */
export function dropDraft(project: ProjectRecord): void {
  try {
    localStorage.removeItem(keyOf(project));
  } catch {
    // There is none where storage is refused.
  }
}
