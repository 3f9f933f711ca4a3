# Sourced: runs a command without its output. If the command fails, prints the end of the output, and fails as well.
# shellcheck shell=bash

# quietly COMMAND [ARGUMENT...]: the output is in output.log, in the current folder
quietly() {
  "$@" > output.log 2>&1 || {
    local status=$?
    tail -n 40 output.log >&2
    echo "failed with $status: $*" >&2
    return "$status"
  }
}
