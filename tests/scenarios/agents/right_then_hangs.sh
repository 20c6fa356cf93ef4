# Solves the issue at once, and then does not end.
. "$HERE/agents/lib.sh"
greet_rightly
commit_all "Greet people by name"
push
exec sleep 1000
