/** The relay of wisp-js, which lets its clients reach the loopback. Prints its port. */
import { once } from "node:events";
import { createServer } from "node:http";
import { logging, server as wisp } from "@mercuryworkshop/wisp-js/server";

logging.set_level(logging.NONE);
Object.assign(wisp.options, { allow_loopback_ips: true, allow_private_ips: true });
const server = createServer();
server.on("upgrade", (request, socket, head) => wisp.routeRequest(request, socket, head));
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log(server.address().port);
