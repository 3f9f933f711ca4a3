const KEY = "boxrun-demo-commands";
const KEPT = 200;

/** The commands that were typed, walked through as a shell does it, and kept over reloads. */
export class History {
  private readonly commands: string[] = load();
  private at = this.commands.length;
  /** What was being typed when the walk began. */
  private draft = "";

  add(command: string): void {
    if (this.commands.at(-1) !== command) this.commands.push(command);
    this.commands.splice(0, this.commands.length - KEPT);
    this.at = this.commands.length;
    this.draft = "";
    try {
      localStorage.setItem(KEY, JSON.stringify(this.commands));
    } catch {
      // A browser may refuse storage, or have no room: then they are kept as long as the page.
    }
  }

  /** The command before the one shown, or what is shown where there is none. */
  back(shown: string): string {
    if (this.at === 0) return shown;
    if (this.at === this.commands.length) this.draft = shown;
    this.at--;
    return this.commands[this.at]!;
  }

  /** The command after the one shown; after the last comes what was being typed. */
  forward(shown: string): string {
    if (this.at === this.commands.length) return shown;
    this.at++;
    return this.commands[this.at] ?? this.draft;
  }
}

function load(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((entry) => typeof entry === "string") : [];
  } catch {
    return [];
  }
}
