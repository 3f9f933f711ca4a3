const KEY = "boxrun-playground-draft";

/** Text of the file that was open when a page went, which had no time left to keep it as other files are kept. */
export interface Draft {
  readonly project: string;
  readonly path: string;
  readonly text: string;
}

/** Keeps a draft at once, as nothing else that a browser has does. */
export function keepDraft(draft: Draft): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // A browser may refuse storage, or have no room: then at most the last half second is lost.
  }
}

/** Returns the draft of a project, if there is one, and forgets it. */
export function takeDraft(project: string): Draft | undefined {
  try {
    const draft = JSON.parse(localStorage.getItem(KEY) ?? "null") as Draft | null;
    if (draft?.project !== project) return undefined;
    localStorage.removeItem(KEY);
    return draft;
  } catch {
    return undefined;
  }
}
