/** What workerd runs to find that it runs no boxes: the answer is the error. */
import { BoxRunClient, isBoxRunError } from "boxrun";

export default {
  async fetch(request: Request): Promise<Response> {
    const backend = (await request.text()) as "auto" | "local";
    try {
      const { kind } = await new BoxRunClient({ backend }).ready();
      return new Response(kind);
    } catch (error) {
      return Response.json(isBoxRunError(error) ? error.toJSON() : String(error), { status: 500 });
    }
  },
};
