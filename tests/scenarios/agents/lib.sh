# What the agents here share; read with `. "$HERE/agents/lib.sh"`. An agent stands in its clone; $HERE is the installation.
set -eu

commit_all() { # SUBJECT [TRAILER]: everything that changed
    git add --all
    git -c user.name=agent -c user.email=agent@localhost commit --quiet --allow-empty \
        --message "$1" --message "${2-AFK-Run: $AFK_RUN}"
}

push() {
    git push --quiet origin HEAD:refs/heads/main
}

greet_rightly() {
    printf '#!/bin/sh\nset -eu\n\necho "hi${1:+, $1}"\n' >greet.sh
}

greet_wrongly() {
    printf '#!/bin/sh\nset -eu\n\necho "hi${1:+ $1}"\n' >greet.sh
}
