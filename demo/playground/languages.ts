import { type LanguageSupport, StreamLanguage } from "@codemirror/language";
import type { Extension } from "@codemirror/state";

type Load = () => Promise<LanguageSupport | Extension>;

const javascript = (options: { jsx?: boolean; typescript?: boolean }) => async () =>
  (await import("@codemirror/lang-javascript")).javascript(options);
const python: Load = async () => (await import("@codemirror/lang-python")).python();
const cpp: Load = async () => (await import("@codemirror/lang-cpp")).cpp();
const html: Load = async () => (await import("@codemirror/lang-html")).html();
const css: Load = async () => (await import("@codemirror/lang-css")).css();
const json: Load = async () => (await import("@codemirror/lang-json")).json();
const markdown: Load = async () => (await import("@codemirror/lang-markdown")).markdown();
const shell: Load = async () =>
  StreamLanguage.define((await import("@codemirror/legacy-modes/mode/shell")).shell);
const lua: Load = async () => StreamLanguage.define((await import("@codemirror/legacy-modes/mode/lua")).lua);
const toml: Load = async () =>
  StreamLanguage.define((await import("@codemirror/legacy-modes/mode/toml")).toml);

/** Languages by the endings of files' names. */
const LANGUAGES: Readonly<Record<string, Load>> = {
  c: cpp,
  cc: cpp,
  cpp,
  css,
  h: cpp,
  htm: html,
  html,
  js: javascript({ jsx: true }),
  json,
  lua,
  md: markdown,
  mjs: javascript({}),
  py: python,
  sh: shell,
  svg: html,
  toml,
  ts: javascript({ typescript: true }),
  tsx: javascript({ typescript: true, jsx: true }),
};

/** Loads the language of a file; plain text has none. */
export async function languageOf(path: string): Promise<LanguageSupport | Extension> {
  const [, ending = ""] = /\.([a-z]+)$/.exec(path) ?? [];
  return (await LANGUAGES[ending]?.()) ?? [];
}
