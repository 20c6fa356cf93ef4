#!/bin/sh
# A toy coding agent: it solves one issue, wrongly at first. It stands where `claude -p` or `codex exec` would, and is
# treated no better: afk starts it as a process in a clone of its own, with the prompt on standard input and the run's id
# in AFK_RUN. `agent.sh start` is the first turn, `agent.sh resume` a corrective one.
set -eu

turn=${1:?usage: agent.sh start|resume, with the prompt on standard input}
: "${AFK_RUN:?must hold the id of the run}"
prompt=$(cat)

say() { printf '%s\n' "$*"; }

commit() { # commit SUBJECT WHY: everything that changed; nothing, when nothing did
    git add --all
    git diff --cached --quiet && return
    git -c user.name='toy agent' -c user.email='toy-agent@localhost' commit --quiet \
        --message "$1" --message "$2 Refs #1." --message "AFK-Run: $AFK_RUN"
}

push() { # to the default branch, on top of whatever others pushed meanwhile
    branch=$(git ls-remote --symref origin HEAD | sed -n 's|^ref: refs/heads/\(.*\)[[:space:]]HEAD$|\1|p')
    for attempt in 1 2 3; do
        git push --quiet origin "HEAD:refs/heads/$branch" && return
        say "push $attempt refused, rebasing on origin/$branch"
        git fetch --quiet origin "$branch"
        git -c user.name='toy agent' -c user.email='toy-agent@localhost' rebase --quiet FETCH_HEAD
    done
    say "could not push"
    exit 1
}

case $turn in
start)
    say "AFK-Milestone: worktree"

    cat >tests/greets_by_name.sh <<'TEST'
got=$(sh greet.sh ada)
case $got in *ada*) ;; *) echo "expected: something with ada"; echo "     got: $got"; exit 1 ;; esac
TEST
    if sh test.sh; then
        say "The test passes already."
        push
        exit 0
    fi
    say "AFK-Milestone: tests_red"
    commit "Test that a person is greeted by name" "greet.sh ignores the name it is given."

    # The mistake: this passes the agent's own, too weak test. It did not run ci.sh.
    cat >greet.sh <<'GREET'
#!/bin/sh
# Greets: sh greet.sh [NAME]
set -eu

echo "hi${1:+ $1}"
GREET
    sh test.sh
    say "AFK-Milestone: tests_green"
    commit "Greet people by name" "The name was never read."
    push
    say "Greeted by name, tested, and pushed."
    ;;
resume)
    # All it knows about the failure is the log in its prompt. That is data: nothing but punctuation gets through.
    expected=$(printf '%s\n' "$prompt" | sed -n 's/.*expected: \(hi[ ,.!]*\)ada.*/\1/p' | head -n 1)
    if [ -z "$expected" ]; then
        say "I cannot tell from the log what CI expects; a person must look."
        exit 1
    fi
    say "CI expects \"${expected}ada\"."

    cat >tests/greets_by_name.sh <<TEST
got=\$(sh greet.sh ada)
[ "\$got" = "${expected}ada" ] || { echo "expected: ${expected}ada"; echo "     got: \$got"; exit 1; }
TEST
    cat >greet.sh <<GREET
#!/bin/sh
# Greets: sh greet.sh [NAME]
set -eu

echo "hi\${1:+${expected#hi}\$1}"
GREET
    sh ci.sh
    say "AFK-Milestone: tests_green"
    commit "Set the name off with a comma" "CI expects \"${expected}ada\"; the test was too weak to see it."
    push
    say "The comma was missing. The test is exact now, and ci.sh passes."
    ;;
*)
    say "unknown turn: $turn"
    exit 2
    ;;
esac
