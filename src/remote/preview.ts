import type { BackendPreview } from "../backend/backend.js";
import { wireDone, wirePreview } from "../contract/wire.js";
import type { Http } from "./http/http.js";
import { at } from "./http/params.js";

/** Opens a preview of a port on the server. */
export async function openPreview(http: Http, boxId: string, port: number): Promise<BackendPreview> {
  const params = { ...at(boxId), port: String(port) };
  const { id, url } = await http.json("openPreview", wirePreview, { params });
  const close = async () => {
    await http.json("closePreview", wireDone, { params: { ...params, preview: id } });
  };
  return { url, close };
}
