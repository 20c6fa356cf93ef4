# Solves the issue, but does not say for which run.
. "$HERE/agents/lib.sh"
greet_rightly
commit_all "Greet people by name, for #1" "No line of a run here."
push
