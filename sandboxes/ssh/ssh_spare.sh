# A program that was started before it is known which: standard input brings how many words its command line has, the
# words, each with a NUL at its end, and what it is to read. A script of ours needs no other bash than this.

LC_ALL=C IFS= read -r -d '' count || exit 255 # never wanted
set --
while ((count-- > 0)); do
  LC_ALL=C IFS= read -r -d '' word
  set -- "$@" "$word"
done
case "$1 $2 $3 $4" in
  "bash --noprofile --norc /"*) shift 3 ;;
  "bash /"*) shift ;;
  *) exec "$@" ;;
esac
. "$@"
