/** What both demos run, one after the other. */
export const COMMANDS = [
  "echo Hello from $(uname -srm)",
  "cat /etc/os-release | head -n 2",
  "seq 1 2000 | awk '{ sum += $1 } END { print sum }'",
  "echo kept > note.txt && ls -l note.txt",
  "grep MemTotal /proc/meminfo; df -h / | tail -n 1",
  "sh -c 'echo this goes to stderr >&2; exit 3'",
];
