/*
 * The frames that the guest's agent and the host exchange.
 *
 * This header is the specification; src/local/protocol/frame-types.ts is the other half. Both are tested with
 * test/fixtures/frames.json. A change here is a change of PROTOCOL_VERSION.
 *
 * Transport. A raw virtio console port: a byte stream each way. The host may deliver a frame in pieces of any size, and
 * several frames in one piece. The port has no flow control of its own, so every payload that can grow is covered by
 * credit (below).
 *
 * Frame. A header of 12 bytes, then the payload. Every integer is little-endian:
 *
 *     u32 length    bytes of payload, at most MAX_PAYLOAD
 *     u32 stream    0: the connection itself; else an id that the host chose, and that no other stream has
 *     u8  type      enum frame_type
 *     u8  channel   DATA: enum channel; every other frame: 0
 *     u16 reserved  0
 *
 * Payload notation. "str" is a u32 length and that many bytes, without a terminating zero and without a zero inside;
 * "bytes" is the same for any bytes; "list" is a u32 count and that many str. A payload has exactly the fields given
 * for its type. It is a protocol error if a field is missing, if anything is left over, or if a value is outside the
 * range in parentheses.
 *
 * Life of the connection. The agent opens the port and sends HELLO as soon as the base image is mounted. The host may
 * send PREPARE, which makes the disk the root and is answered by DONE. It sends SETUP once, which makes the box and is
 * answered by READY; SETUP first does what PREPARE does, if that was not sent. If either is answered by FAIL on
 * stream 0 instead, the agent serves no stream from then on. From READY on, the host may open streams.
 *
 * A network. A box has none until the host sends NETWORK, which raises the guest's network card (IPv4, without ARP), makes
 * it the way to everything and names the DNS server in /etc/resolv.conf, unless that file is the box's own. The frames
 * do not carry packets: they go through the card. NETWORK may be repeated. If it fails, the box goes on without.
 *
 * Volumes are directories that the host serves on the machine's 9p device (9P2000.L), whose root has one of them for
 * each volume: "0" is the first of SETUP's list. SETUP mounts each at its path in the box, in the order of the list, so
 * a volume within another comes after it. It makes what is missing of the path (0755), and follows symbolic links in it,
 * within the box. A path that ends at anything but a directory is FAIL (ENOTDIR). The volumes are there before the
 * working directory is made. They have no devices and no setuid. VOLUME_READONLY is a mount that root in the box can
 * change, so the host's server has to refuse, too. The detail of a FAIL is "volume " and the path, or "volumes" for what
 * they have in common. SHUTDOWN unmounts them before the disk, which gives the host what they hold in memory. Without
 * volumes, the device is not touched.
 *
 * If starting fails before HELLO, the agent sends FAIL on stream 0 (STAGE_SETUP) instead of HELLO.
 *
 * Boot image. It is taken after HELLO; for boxes that begin with an empty disk, after PREPARE. A guest that is restored
 * from it has already sent these answers. Before SETUP only EXEC is served; before PREPARE the command is chrooted into
 * the read-only base image. With such commands, the build warms the page cache of a boot image.
 *
 * Life of a stream. The host opens it with EXEC, TERMINAL, CONNECT, PUT, GET, FILE or WATCH. The agent ends it with exactly
 * one of EXIT, DONE, VOLUME or FAIL, after which the id is free. Frames for a stream that has ended are ignored: they crossed
 * its end on the way.
 *
 *     EXEC      -> STARTED, DATA (stdout and stderr) ..., EXIT    or FAIL (nothing was started)
 *     TERMINAL  -> STARTED, DATA (stdout) ..., EXIT               or FAIL (nothing was started)
 *     CONNECT   -> STARTED, DATA (stdout) ..., EOF, DONE          or FAIL
 *     PUT       -> CREDIT ..., DONE                               or VOLUME or FAIL (nothing was changed under the
 *                                                                    path, unless the stage is STAGE_PARTLY)
 *     GET       -> STAT, DATA (file) ..., DONE                    or VOLUME or FAIL
 *     FILE      -> DATA (file) ..., DONE                          or VOLUME or FAIL
 *     WATCH     -> STARTED, DATA (file) ..., DONE                 or VOLUME or FAIL
 *
 * On an EXEC the host may send SIGNAL, TERMINATE and CREDIT; with EXEC_STDIN also DATA (CH_STDIN) and one EOF. On a
 * TERMINAL it may send all of these and RESIZE; on a CONNECT, CREDIT and ABORT, and from STARTED on DATA (CH_STDIN) and
 * one EOF; on a PUT, DATA (CH_FILE) and then one EOF, or ABORT; on a GET, a FILE and a WATCH, CREDIT and ABORT. Anything else on
 * an open stream, including DATA after EOF, is a protocol error.
 *
 * A command. It is a session and process group of its own, led by its main process. No shell is involved. A program
 * name without a slash is looked up in the PATH of the given environment, or in the usual folders if that has none.
 * STARTED may be delayed by some milliseconds, to be sent with what follows it. In a box with volumes, STARTED or FAIL takes
 * as long as the volume that has the working directory, the program or its interpreter. Until then, all frames for the stream
 * are taken: input waits in the pipe, and signals go to the process that is about to become the command. One that is ended
 * by them is STARTED and then EXIT. CREDIT may come before STARTED. A process that makes a session of its
 * own (setsid), as daemons do, no longer belongs to the command.
 *
 * A command's end. EXIT follows all output that was in the pipes when the main process ended, and the late output of
 * the processes that it left behind. The wait for late output ends when no process has the pipes open, after 100 ms of
 * silence, or after 5 s in all. A silence is extended, up to ten times, while a process of the session runs or waits
 * for the disk. The time in which output waits for credit does not count. Later output is thrown away. During the wait,
 * SIGNAL goes to the processes left behind; TERMINATE, like KILL, kills what is left of the session, and EXIT follows
 * the output that is in the pipes then. After TERMINATE or KILL before the command's end, there is no wait.
 * Whatever was killed has ended before EXIT, unless it takes more than a second to.
 *
 * A terminal. A command whose standard streams are a pseudoterminal of its own, which controls its session. DATA
 * (CH_STDIN) is what is typed, DATA (CH_STDOUT) what is shown. EOF hangs it up: the kernel sends SIGHUP to the
 * session's leader and its foreground group, what is shown from then on is lost, and what is left of the session a
 * second later is killed. EXIT comes in any case, once no process of the session is left.
 *
 * A connection, CONNECT: TCP to a port of the box's 127.0.0.1, or of ::1 if nothing listens there. It needs no network
 * of the box. If nothing listens at either: FAIL (ECONNREFUSED, STAGE_OPEN). While the server's backlog is full, the agent
 * connects again and again, for two minutes at most: FAIL (ETIMEDOUT, STAGE_OPEN). DATA (CH_STDIN) is what the server
 * reads, DATA (CH_STDOUT) what it writes. EOF of either side ends its direction alone. DONE follows when both have ended,
 * with the number of bytes that the server wrote. A reset is FAIL (ECONNRESET or EPIPE, STAGE_READ), after the data that came
 * before it. ABORT, SHUTDOWN and the loss of the host reset the connection.
 *
 * A file. Its path is absolute, else FAIL (EINVAL).
 *
 *     PUT makes missing directories (0755) and follows symbolic links at the path. A regular file appears whole, by a
 *     rename, with the owner of the file that it replaces, and with PUT_KEEP_MODE its mode; other hard links to the old
 *     file keep the old contents. What cannot be replaced is written in place, from its first byte on: a device, a file
 *     that is a mount, and a file in a directory that takes no new files, as under /proc and /sys. A directory is
 *     EISDIR, a FIFO or socket EINVAL; a device that takes no more at the moment is EAGAIN. DONE means that the guest's
 *     programs see the file, not that it has reached the disk.
 *
 *     GET reads regular files (else EISDIR, EINVAL), including those of /proc, to their end. Its DONE needs no credit.
 *     A file whose read would have to wait, like /proc/kmsg, is FAIL (EAGAIN, STAGE_READ) after the data there was.
 *
 * An operation on files, FILE: what takes a few system calls, so that no other stream waits for it. Paths are absolute,
 * else FAIL (EINVAL). A failed operation is FAIL (STAGE_OPEN) with the errno of the call, and has changed nothing,
 * except that FILE_MKDIRS may have made some of the directories.
 *
 *     FILE_STAT, FILE_LSTAT      one entry, without a name; LSTAT follows no link at the end of the path
 *     FILE_LIST                  an entry for everything in the directory but "." and "..", in no order;
 *                                follows a link at the end of the path. FAIL (STAGE_READ) may follow entries
 *     FILE_MKDIR, FILE_MKDIRS    makes a directory with exactly this mode; MKDIRS also makes missing directories above
 *                                it (0755), and succeeds if the directory exists
 *     FILE_RENAME                rename(2), from the path to the second: EXDEV between file systems
 *     FILE_REMOVE                unlink(2): a directory is EISDIR
 *
 * Entries are the payload of DATA on CH_FILE, each in one piece: u64 size (bytes), i64 mtime (ms since 1970, at most
 * 8640000000000000 either way, the range of a JavaScript Date), u32 mode (all of st_mode), u32 uid, u32 gid, str name
 * (0..MAX_NAME). An entry is sent only if there is credit for the largest one, MAX_ENTRY bytes. DONE has the number of
 * bytes of all entries.
 *
 * A watch, WATCH, of a file, or of a directory with its entries, or with WATCH_RECURSIVE all below it. STARTED says that every
 * later change will be told. A link at the end of the path is followed, and no other. Directories on which something is
 * mounted, as /proc and volumes are, are told of as entries, and not what is in them. It needs a place for each directory:
 * FAIL (ENOSPC) if there are more than MAX_WATCHED or than the kernel has, then or later. A change is u8 kind (enum change),
 * str path, and for CHANGE_RENAMED str path before. Paths are absolute and begin with the path of the WATCH, without slashes at
 * its end. DATA on CH_FILE has whole changes, and at most MAX_CHANGE bytes of them; it is sent only if there is credit for so
 * many.
 *
 *     CHANGE_CREATED   made, moved in from elsewhere, or put in the place of what is watched by a rename. What is in a
 *                      directory that is new to a recursive watch follows, once
 *     CHANGE_CHANGED   its contents, mode, owner or times
 *     CHANGE_REMOVED   removed, or moved out. After that of the path of the WATCH, DONE follows, with the bytes of all changes
 *     CHANGE_RENAMED   both names are in the watch. What is in a directory moves with it
 *     CHANGE_OVERFLOW  of the path of the WATCH: changes are missing, because the host did not grant credit for too long, or
 *                      the process that watches was killed, or a path was longer than MAX_PATH
 *
 * A file that is being written beside its place, as by PUT, is told of when it takes that place, as created.
 *
 * Changes by the host, TOUCH. Linux tells the box's programs of what they do in a volume, not of what the host does. TOUCH makes
 * it tell that the file has changed (IN_MODIFY), by giving it a modification time that the host ignores, in read-only volumes
 * too (TOUCH_SECONDS). The path is one in the root of the host's 9p server ("/0/dir/file"); links are not followed. For a
 * file that is gone, the host names its directory. TOUCH is no promise: while a volume keeps the agent's helper waiting, some are lost.
 *
 * A path in a volume. The agent would have to wait for the volume, and everybody else for the agent. So if a path of a
 * PUT, GET, FILE or WATCH leads into one, nothing is done, and the stream ends with VOLUME, before any CREDIT, STAT or DATA. It
 * has the path, and of a RENAME the second one, as paths in the root of the host's 9p server ("/0/dir/file"); one that is
 * in no volume is empty. The mounts count as they are at this moment, whoever has made or moved them. Links are followed
 * up to the volume, at the end of the path as the operation does it, or if a slash is behind the link. What is behind
 * the mount point is passed on as it is: with its "..", ".", slashes and links, which only the host can follow; a link
 * that leads out of the volume is the host's to send back, as another path. A path that cannot be resolved on the way
 * is FAIL (ELOOP, ENAMETOOLONG), and so is any path in a box that has too many mounts (EOVERFLOW). An entry of a
 * FILE_LIST on which a volume is mounted has the mode 040755 (0100644 if it is a file), and 0 for all else that only the
 * volume could tell.
 *
 * Credit. A sender of DATA may have at most as many payload bytes under way as the receiver has granted for that
 * stream. EXEC, TERMINAL, CONNECT, GET, FILE and WATCH carry the host's first grant in `window`; the agent grants input and
 * file data with CREDIT. A grant adds to what is left, and the sum never exceeds MAX_WINDOW. So a flood never outruns
 * the reader, and a reader that stops holds up nothing but its own stream. If a command has closed its stdin, or a
 * server its connection, the rest of the input is thrown away, and credit is still granted.
 *
 * Trust. The agent checks every frame. On a malformed one it sends FAIL (stream 0, EPROTO) and reads nothing more. The
 * host checks every frame, too, and ends the machine: everything inside the guest is untrusted.
 *
 * Flushes. From READY on, the agent writes out what the box's file system holds in memory: soon after the end of a
 * command, of a PUT or of a FILE that changes something, and at least every second of the guest's time while processes
 * of the box use the processor. It sends FLUSH when it begins and FLUSHED when it is done; the two alternate. FLUSHED
 * says that everything is on the disk that was written before FLUSH was sent, by commands whose output or EXIT came
 * before FLUSH and by files whose DONE did. A box in which nothing runs and nothing ends sends neither.
 */
#ifndef BOXRUN_PROTOCOL_H
#define BOXRUN_PROTOCOL_H

#define PROTOCOL_VERSION 5

#define FRAME_HEADER 12
/*
 * The bytes of a command's arguments and environment together that Linux takes, with 8 MB of stack: each string with
 * its zero and a pointer of 4 bytes. A string has at most MAX_STRING bytes without its zero. Linux also counts the
 * program's path, which is found only in the guest, so the host keeps MAX_PATH + 1 bytes free for it and refuses more.
 */
#define MAX_STRINGS (2u << 20)
#define MAX_STRING 131071
/* The longest EXEC, in which a string's length takes less than its zero and pointer. No other frame is as long. */
#define MAX_PAYLOAD (MAX_STRINGS + 8192u)
/* A frame of DATA fits into one message of the console port (32 KiB, including the header). */
#define MAX_DATA (32768u - FRAME_HEADER)
#define MAX_WINDOW (16u << 20)
/* Streams that are open at once. One more is answered by FAIL (EAGAIN, STAGE_LIMIT). */
#define MAX_STREAMS 256
/* The longest path, host name and error text, without a terminating zero. */
#define MAX_PATH 4095
/* The modification time, in seconds, of no file. v9fs takes none before 1970. */
#define TOUCH_SECONDS 4611686018427387904
#define MAX_HOSTNAME 64
#define MAX_DETAIL 1024
/* Volumes of one box. */
#define MAX_VOLUMES 16
/* Strings in one list: as many as MAX_STRINGS holds if all are empty and take 5 bytes each. */
#define MAX_ARGS 419430
#define MIN_ENTROPY 16
#define MAX_ENTROPY 512
#define MAX_SIGNAL 64
#define MAX_MODE 07777
#define MAX_TERMINAL_SIZE 1000
/* The least that IPv4 allows, and the largest packet with which the network card fits. */
#define MIN_MTU 68
#define MAX_MTU 32000
/* The longest name in a directory, and the largest entry. */
#define MAX_NAME 255
#define MAX_ENTRY (32u + MAX_NAME)
/* The largest change, and the most that is sent of changes in one frame. */
#define MAX_CHANGE (9u + MAX_PATH + MAX_PATH)
/* Directories of one WATCH. The kernel has a limit for all together, which is as high or higher. */
#define MAX_WATCHED 8192

enum frame_type {
    /* host -> guest, stream 0 */
    F_SETUP = 0x01,     /* u64 clock (ns since 1970, < 2^63), bytes entropy (16..512), str hostname, u64 disk
                           size wanted (bytes, 0: as it is), u64 memory limit for the box's processes (bytes,
                           0: none), u32 process limit (0: none), str workdir (absolute, else FAIL (EINVAL);
                           made if missing), u32 number of volumes (0..MAX_VOLUMES), and for each of them: u8
                           flags (VOLUME_*), str path in the box (absolute, else FAIL (EINVAL); made if missing) */
    F_SHUTDOWN = 0x02,  /* u32 grace (ms): TERM to all, KILL after the grace, unmount volumes and disk; open PUTs,
                           GETs, FILEs and WATCHes and later streams FAIL (ESHUTDOWN, STAGE_LIMIT); answered by DONE or
                           FAIL on stream 0 */
    F_PING = 0x03,      /* u32 token */
    F_CLOCK = 0x04,     /* u64 clock (ns since 1970, < 2^63) */
    F_PREPARE = 0x05,   /* (empty), only before SETUP: mount the disk and make it the root, which is the same
                           for every box; answered by DONE or FAIL on stream 0 */
    F_NETWORK = 0x06,   /* u32 address (10.0.2.15 is 0x0a00020f), u8 prefix (1..30), u32 gateway, u32 DNS server, u32
                           MTU (MIN_MTU..MAX_MTU), from READY on; answered by DONE or FAIL on stream 0 */
    F_TOUCH = 0x07,     /* str path (absolute), from READY on: others than the box have changed this file of a volume; no answer */

    /* host -> guest, on a stream */
    F_EXEC = 0x10,      /* u8 flags (EXEC_*), u32 window (0..MAX_WINDOW), str working directory,
                           list argv (1..MAX_ARGS), list environment (0..MAX_ARGS; "NAME=value") */
    F_SIGNAL = 0x11,    /* u32 signal number (1..64), to the command's whole process group; KILL to its session */
    F_PUT = 0x12,       /* u8 flags (PUT_*), u32 mode (permission bits, 0..07777), str path (not empty) */
    F_GET = 0x13,       /* u32 window (0..MAX_WINDOW), str path (not empty) */
    F_ABORT = 0x14,     /* (empty): gives up a CONNECT, PUT, GET, FILE or WATCH; answered by FAIL (ECANCELED) unless it
                           ended first */
    F_TERMINATE = 0x15, /* u32 grace (ms): TERM to the command's session, KILL after the grace, and KILL to what
                           is left of the session when its main process ends (before that one is reaped, so that
                           the session's id is still its own) */
    F_FILE = 0x16,      /* u8 operation (FILE_*), u32 mode (0..07777; used by MKDIR and MKDIRS), u32 window
                           (MAX_ENTRY..MAX_WINDOW), str path (not empty), str second path (RENAME: not empty;
                           every other: empty) */
    F_TERMINAL = 0x17,  /* u32 window (0..MAX_WINDOW), u32 columns, u32 rows (1..MAX_TERMINAL_SIZE), str working
                           directory, list argv, list environment, as EXEC has them */
    F_CONNECT = 0x19,   /* u32 window (0..MAX_WINDOW), u32 port (1..65535) */
    F_RESIZE = 0x18,    /* u32 columns, u32 rows (1..MAX_TERMINAL_SIZE) of a TERMINAL */
    F_WATCH = 0x1a,     /* u8 flags (WATCH_*), u32 window (MAX_CHANGE..MAX_WINDOW), str path (not empty) */

    /* both ways, on a stream */
    F_DATA = 0x20,      /* the rest of the frame, 1..MAX_DATA bytes */
    F_EOF = 0x21,       /* (empty). Host: no more input, or the file is whole; guest: the server of a CONNECT has ended
                           its direction */
    F_CREDIT = 0x22,    /* u32 bytes granted (1..MAX_WINDOW) */

    /* guest -> host, stream 0 */
    F_HELLO = 0x81,     /* u32 PROTOCOL_VERSION, u32 MAX_PAYLOAD */
    F_READY = 0x82,     /* u64 size of the box's file system (bytes) */
    F_PONG = 0x83,      /* u32 token */
    F_FLUSH = 0x84,     /* (empty): a flush begins; no other is under way */
    F_FLUSHED = 0x85,   /* u32 errno of the flush that began last (0: everything is on the disk) */

    /* guest -> host, on a stream (FAIL and DONE on stream 0 too) */
    F_STARTED = 0x90,   /* u32 process id; 0 for a CONNECT and a WATCH */
    F_EXIT = 0x91,      /* u8 how (EXITED, SIGNALED, OUT_OF_MEMORY), u32 exit code (0..255) or signal number (1..64) */
    F_STAT = 0x92,      /* u64 size (bytes, at this moment; 0 if the kernel makes the contents as they are
                           read), u32 mode (permission bits, 0..07777), u64 mtime (ms since 1970, 0 for anything
                           earlier) */
    F_DONE = 0x93,      /* u64 bytes written or read; 0 on stream 0 */
    F_FAIL = 0x94,      /* u8 stage (STAGE_*), u32 errno (Linux numbers), str detail (0..MAX_DETAIL): the path
                           or step that failed, cut if it is longer */
    F_VOLUME = 0x95,    /* str path (0..MAX_PATH), str second path (0..MAX_PATH), at least one of them not empty: the
                           work is the host's, see above */
};

enum channel { CH_STDIN = 0, CH_STDOUT = 1, CH_STDERR = 2, CH_FILE = 3 };

enum exec_flags {
    EXEC_STDIN = 1, /* stdin is a pipe fed by DATA and closed by EOF; without it stdin is /dev/null */
    EXEC_JOINED = 2, /* stderr is the pipe of stdout: everything comes as stdout, in the order it was printed */
};

enum volume_flags {
    VOLUME_READONLY = 1, /* the box cannot change what it sees */
};

enum put_flags {
    PUT_KEEP_MODE = 1, /* the mode is only for a new file: an existing one keeps its own */
};

enum file_operation {
    FILE_STAT = 1,
    FILE_LSTAT = 2,
    FILE_LIST = 3,
    FILE_MKDIR = 4,
    FILE_MKDIRS = 5,
    FILE_RENAME = 6,
    FILE_REMOVE = 7,
};

enum watch_flags {
    WATCH_RECURSIVE = 1, /* with all directories below */
};

enum change {
    CHANGE_CREATED = 1,
    CHANGE_CHANGED = 2,
    CHANGE_REMOVED = 3,
    CHANGE_RENAMED = 4,
    CHANGE_OVERFLOW = 5,
};

enum exit_how {
    EXITED = 0,
    SIGNALED = 1,
    /*
     * The command was ended by KILL, or exited with 137, the code of a shell whose command was; and meanwhile the
     * kernel killed a process of the box because memory was used up. The number is the exit code.
     */
    OUT_OF_MEMORY = 2,
};

enum fail_stage {
    STAGE_PROTOCOL = 1, /* a frame made no sense */
    STAGE_SETUP = 2,    /* making the box failed; the detail names the step */
    STAGE_LIMIT = 3,    /* MAX_STREAMS, the process limit, no memory, or the box is shutting down */
    STAGE_CWD = 4,      /* the working directory could not be entered */
    STAGE_EXEC = 5,     /* the program could not be executed */
    STAGE_OPEN = 6,     /* the file or its directory could not be opened or made; or an operation failed */
    STAGE_WRITE = 7,    /* writing the file, or unmounting the disk */
    STAGE_READ = 8,
    STAGE_PARTLY = 9, /* writing in place: the old contents may be gone */
};

#endif
