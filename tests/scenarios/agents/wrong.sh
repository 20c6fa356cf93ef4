# Pushes a commit that CI refuses, in every turn.
. "$HERE/agents/lib.sh"
greet_wrongly
commit_all "Try again, turn $1"
push
echo "This time it must be right."
