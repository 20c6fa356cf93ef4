# Red at first; right when it is told.
. "$HERE/agents/lib.sh"
if [ "$1" = start ]; then greet_wrongly; else greet_rightly; fi
commit_all "Greet people by name, turn $1"
push
