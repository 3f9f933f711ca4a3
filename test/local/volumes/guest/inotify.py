"""Prints what Linux tells of directories, as "EVENT path": inotify.py DIRECTORY..."""
import ctypes
import os
import struct
import sys

NAMES = {2: "modify", 4: "attrib", 0x40: "from", 0x80: "to", 0x100: "create", 0x200: "delete"}
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(0)
places = {}
for place in sys.argv[1:]:
    wd = libc.inotify_add_watch(fd, os.fsencode(place), sum(NAMES))
    if wd < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    places[wd] = place
print("ready", flush=True)
while True:
    events = os.read(fd, 1 << 16)
    while events:
        wd, mask, _, length = struct.unpack_from("iIII", events)
        name = os.fsdecode(events[16 : 16 + length].rstrip(b"\0"))
        events = events[16 + length :]
        for bit, event in NAMES.items():
            if mask & bit:
                print(event, os.path.join(places[wd], name).rstrip("/"), flush=True)
