# Operations on files inside a host: bash files.sh OPERATION PATH [ARGUMENT…]
#
# Programs of coreutils and of busybox alike. What fails says so on standard error as those programs do, in English,
# and ends with 1; `sandboxes/hosted_files.py` makes an OSError of it.

export LC_ALL=C
operation=$1 path=$2

fail() { # MESSAGE as of strerror(3)
  echo "$path: $1" >&2
  exit 1
}

facts() { # PATH…: a line each: mode of the link itself (hex), then mode (hex), size and mtime of what it leads to
  local each own
  for each; do
    own=$(stat -c %f -- "$each") || continue
    stat -L -c "$own %f %s %Y" -- "$each" 2> /dev/null || stat -c "$own %f %s %Y" -- "$each"
  done
}

case $operation in
  stat) facts "$path" | grep . || exit 1 ;;
  list)
    if [ ! -d "$path" ]; then
      if [ -e "$path" ]; then fail "Not a directory"; else fail "No such file or directory"; fi
    fi
    cd -- "$path" && [ -r . ] || fail "Permission denied"
    shopt -s dotglob nullglob
    for name in *; do
      found=$(facts "./$name" 2> /dev/null) || continue
      printf '%s %s\0' "$found" "$name"
    done
    ;;
  read) # OFFSET SIZE, SIZE -1 for all
    if [ -d "$path" ]; then fail "Is a directory"; fi
    if [ "$4" = -1 ] && [ -e "$path" ] && [ ! -f "$path" ]; then fail "Invalid argument"; fi
    if [ "$4" = -1 ] && [ "$3" = 0 ]; then exec cat -- "$path"; fi
    [ -r "$path" ] || exec cat -- "$path" # which says why not
    if [ "$4" = -1 ]; then exec tail -c "+$(($3 + 1))" -- "$path"; fi
    # No program is ended by a closed pipe with a complaint: head reads its share and goes.
    if [ "$3" = 0 ]; then exec head -c "$4" -- "$path"; fi
    tail -c "+$(($3 + 1))" -- "$path" 2> /dev/null | head -c "$4"
    ;;
  write) # MODE in octal, or "keep", and SIZE; the content is standard input
    target=$(readlink -f -- "$path" 2> /dev/null)
    if [ -z "$target" ]; then
      mkdir -p -- "$(dirname -- "$path")" && target=$(readlink -f -- "$path") || exit 1
    fi
    if [ -d "$target" ]; then fail "Is a directory"; fi
    if [ -e "$target" ] && [ ! -f "$target" ]; then
      cat > "$target"
      exit
    fi
    if [ -e "$target" ] && [ ! -w "$target" ]; then fail "Permission denied"; fi
    mkdir -p -- "${target%/*}/" || exit 1
    beside=${target%/*}/.hermes-$$-$RANDOM$RANDOM
    set -C # it must not be there
    # Its own mode is what the umask says.
    : > "$beside" || exit 1
    set +C
    trap 'rm -f -- "$beside"' EXIT
    cat > "$beside" || exit 1
    # When a connection is lost, half of the content looks like all of it.
    if [ "$(stat -c %s -- "$beside")" != "$4" ]; then fail "Input/output error"; fi
    if [ -e "$target" ]; then
      chown -- "$(stat -c %u:%g -- "$target")" "$beside" 2> /dev/null # only root may give files away
      if [ "$3" = keep ]; then chmod -- "$(stat -c %a -- "$target")" "$beside" || exit 1; fi
    fi
    if [ "$3" != keep ]; then chmod -- "$3" "$beside" || exit 1; fi
    mv -f -- "$beside" "$target" || exit 1
    trap - EXIT
    ;;
  remove)
    if [ -d "$path" ] && [ ! -L "$path" ]; then fail "Is a directory"; fi
    exec rm -- "$path"
    ;;
esac
