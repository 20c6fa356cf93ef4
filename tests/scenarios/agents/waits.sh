# Solves the issue once the test says so.
. "$HERE/agents/lib.sh"
while [ ! -e "$HERE/go" ]; do sleep 0.02; done
greet_rightly
commit_all "Greet people by name"
push
