#!/usr/bin/env bash
# Fails, naming them, when options of a fragment did not end in .config as written: kconfig drops silently what depends on something missing.
#
# usage: check-config.sh FRAGMENT CONFIG
set -euo pipefail

fragment=$1 config=$2
failed=0

while IFS= read -r line; do
  case $line in
    CONFIG_*=*)
      if ! grep -qxF -- "$line" "$config"; then
        name=${line%%=*}
        echo "$fragment wants $line, .config has: $(grep -E "^(# )?$name(=| )" "$config" || echo nothing)" >&2
        failed=1
      fi ;;
    "# CONFIG_"*" is not set")
      name=${line#\# } name=${name%% *}
      if grep -E "^$name=" "$config" >&2; then
        echo "$fragment wants $name to be off" >&2
        failed=1
      fi ;;
  esac
done < "$fragment"

exit "$failed"
