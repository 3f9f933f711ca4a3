"""The guest's half of the bench of the network: `python3 network.py KIND HOST PORT`. It prints numbers."""
import selectors
import socket
import sys
import time

kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
BLOCK = 1 << 18


def median(times):
    return sorted(times)[len(times) // 2]


def out():
    s = socket.create_connection((host, port))
    block = bytes(BLOCK)
    for _ in range(800):
        s.sendall(block)
    s.shutdown(socket.SHUT_WR)
    s.recv(1)


def into():
    s = socket.create_connection((host, port))
    room = bytearray(4 * BLOCK)
    while s.recv_into(room):
        pass


def connect():
    address = socket.gethostbyname(host)
    connects = []
    for _ in range(100):
        begun = time.monotonic()
        s = socket.create_connection((address, port))
        connects.append(time.monotonic() - begun)
        s.close()
        # A box may make so many a second.
        time.sleep(0.03)
    s = socket.create_connection((address, port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    echoes = []
    for _ in range(200):
        begun = time.monotonic()
        s.send(b"x")
        s.recv(1)
        echoes.append(time.monotonic() - begun)
    print(1000 * median(connects), 1000 * median(echoes))


def many():
    address = socket.gethostbyname(host)
    begun = time.monotonic()
    waiting = selectors.DefaultSelector()
    for _ in range(100):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((address, port))
        waiting.register(s, selectors.EVENT_WRITE)
    opened = 0
    while opened < 100:
        for key, _ in waiting.select():
            if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise SystemExit("a connection failed")
            waiting.unregister(key.fileobj)
            opened += 1
    print(1000 * (time.monotonic() - begun))


{"out": out, "in": into, "connect": connect, "many": many}[kind]()
