"""A development server in few lines, as far as a browser can tell it from Vite: it shows page.txt, and has pages reload when that changes."""
import base64, hashlib, json, os, socket, sys, threading, time

PORT = int(sys.argv[1])
PAGE = """<!doctype html><link rel="icon" href="data:,"><title>%s</title><script>
const socket = new WebSocket(location.origin.replace("http", "ws") + "/?token=abc", "vite-hmr");
const note = (state) => { document.documentElement.dataset.state = state; };
socket.onclose = () => note("closed");
socket.onmessage = ({ data }) => {
  const { type } = JSON.parse(data);
  if (type === "connected") note("connected");
  if (type === "full-reload") location.reload();
};
</script>"""
pages = set()


def head_of(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return None, {}
        head += part
    first, *lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
    return first, {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def send(connection, message):
    data = json.dumps(message).encode()
    connection.sendall(bytes([0x81, len(data)]) + data)


def serve(connection):
    first, headers = head_of(connection)
    if first is None:
        return connection.close()
    host = headers["host"].rsplit(":", 1)[0]
    origin = headers.get("origin", f"http://{headers['host']}")
    # Vite answers neither other names, nor sockets of other pages.
    if host not in ("localhost", "127.0.0.1") or origin != f"http://{headers['host']}":
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif headers.get("upgrade") == "websocket" and headers.get("sec-websocket-protocol") == "vite-hmr":
        key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        connection.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: vite-hmr\r\n\r\n".encode()
        )
        pages.add(connection)
        send(connection, {"type": "connected"})
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            pass
        pages.discard(connection)
    else:
        body = (PAGE % open("page.txt").read().strip()).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)
    connection.close()


def watch():
    seen = os.stat("page.txt").st_mtime_ns
    while True:
        time.sleep(0.02)
        now = os.stat("page.txt").st_mtime_ns
        if now == seen:
            continue
        seen = now
        for page in list(pages):
            send(page, {"type": "full-reload", "path": "*"})


threading.Thread(target=watch, daemon=True).start()
server = socket.create_server(("127.0.0.1", PORT))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
