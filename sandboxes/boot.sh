# The first program inside a host: bash -c THIS bash CWD FOLDER OWNER. Standard input: names and texts of scripts, each with a
# NUL at its end. Puts them into FOLDER if that is still there, else into a new one, and writes, each with a NUL at its
# end: the folder, whether it was there, where commands start, the home. CWD: "" for the home, . for a new folder. OWNER, if
# there is one, is kept in FOLDER/owner: a host that lasts finds there whose folder it is.

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
  echo "bash 4.4 or newer is needed; this is bash $BASH_VERSION" >&2
  exit 1
fi
umask 077
if [ -n "${HOME-}" ] && [ ! -e "$HOME" ]; then mkdir -p -- "$HOME" 2> /dev/null; fi
folder=$2 known=1
if [ -z "$folder" ] || [ -L "$folder" ] || [ ! -O "$folder" ]; then
  known=0
  folder=$(mktemp -d "${TMPDIR:-/tmp}/.hermes-XXXXXXXX") || exit 1
fi
if [ -n "$3" ]; then printf '%s\n' "$3" > "$folder/owner" || exit 1; fi
while IFS= read -r -d '' name && IFS= read -r -d '' text; do
  printf '%s' "$text" > "$folder/$name" || exit 1
done
case $1 in
  '') cd 2> /dev/null ;;
  .) mkdir -p "$folder/work" && cd "$folder/work" ;;
  *) { cd; cd -- "$1"; } 2> /dev/null ;; # a relative one is in the home
esac || cd /
printf '%s\0' "$folder" "$known" "$PWD" "${HOME-}"
