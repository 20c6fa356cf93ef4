# Solves the issue, and leaves processes behind: in its group, in a session of its own, and one that ignores TERM.
. "$HERE/agents/lib.sh"
sleep 1000 &
echo $! >>"$HERE/left-behind"
setsid sh -c 'echo $$ >>"$HERE/left-behind"; exec sleep 1000' >/dev/null 2>&1 &
setsid sh -c 'trap "" TERM; echo $$ >>"$HERE/left-behind"; while :; do sleep 0.1; done' >/dev/null 2>&1 &
while [ "$(wc -l <"$HERE/left-behind")" -lt 3 ]; do sleep 0.01; done
greet_rightly
commit_all "Greet people by name"
push
