# Solves the issue at once.
. "$HERE/agents/lib.sh"
greet_rightly
commit_all "Greet people by name"
push
echo "Greeted by name."
