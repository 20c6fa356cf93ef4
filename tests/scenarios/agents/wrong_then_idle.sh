# Red at first; when it is told, it does nothing.
. "$HERE/agents/lib.sh"
[ "$1" = start ] || exit 0
greet_wrongly
commit_all "Greet people by name"
push
