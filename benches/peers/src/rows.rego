# The 26 rows of the shipped policy, by state; the first that matches. Times in seconds.
package afk

default row := -1

row := 0 if input.held
else := 1 if input.issue in {"closed", "gone"}
else := working if input.state == "working"
else := verifying if input.state == "verifying"
else := fixing if input.state == "fixing"

working := 2 if input.pushed
else := 7 if input.cost_usd > 100
else := 8 if input.age >= 86400
else := 9 if unreachable
else := 10 if {
	input.agent == "waiting"
	input.quiet >= 900
}
else := 11 if {
	input.agent == "starting"
	input.quiet >= 600
}
else := 12 if {
	input.agent == "running"
	input.quiet >= 2700
}
else := 13 if {
	input.pushed == false
	ended
	input.quiet >= 120
}
else := 14 if {
	ended
	input.quiet >= 7200
}

verifying := 4 if {
	input.touched_protected
	settled
}
else := 5 if {
	input.landed
	not input.touched_protected
	input.ci == "green"
	input.agent == "idle"
	input.quiet >= 120
}
else := 6 if {
	not input.landed
	input.pull_request == "open"
	input.ci == "green"
	input.agent == "idle"
	input.quiet >= 120
}
else := 7 if input.cost_usd > 100
else := 8 if input.age >= 86400
else := 9 if unreachable
else := 15 if {
	input.agent == "waiting"
	input.quiet >= 900
}
else := 16 if {
	input.landed
	not input.touched_protected
	input.ci == "green"
	input.quiet >= 2700
	input.agent in {"starting", "running"}
}
else := 17 if {
	not input.landed
	input.pull_request == "open"
	input.ci == "green"
	input.quiet >= 2700
	input.agent in {"starting", "running"}
}
else := 18 if {
	not input.landed
	ended
	input.quiet >= 120
	not_offered
}
else := 19 if {
	input.ci == "green"
	input.agent in {"failed", "gone"}
	input.quiet >= 120
}
else := 20 if {
	input.ci == "green"
	input.quiet >= 7200
	input.agent in {"idle", "starting", "running"}
}
else := 21 if {
	input.ci == "red"
	not input.told
	input.agent in {"idle", "failed"}
	input.quiet >= 120
	input.attempts < 5
	correctable
}
else := 22 if {
	input.ci == "red"
	settled
}
else := 25 if no_verdict

fixing := 3 if input.ci in {"none", "pending", "green"}
else := 3 if not input.told
else := 7 if input.cost_usd > 100
else := 8 if input.age >= 86400
else := 9 if unreachable
else := 15 if {
	input.agent == "waiting"
	input.quiet >= 900
}
else := 23 if {
	input.ci == "red"
	ended
	input.quiet >= 120
}
else := 24 if stuck
else := 25 if no_verdict

unreachable if {
	input.agent == "unknown"
	input.quiet >= 14400
}

ended if input.agent in {"idle", "failed", "gone"}

settled if {
	input.quiet >= 120
	ended
}

settled if {
	input.quiet >= 2700
	input.agent in {"starting", "running"}
}

not_offered if input.pull_request == "closed"

not_offered if {
	input.pull_request == "draft"
	input.ci == "green"
}

correctable if input.attempts == 0

correctable if input.red_for < 3600

stuck if {
	input.agent == "starting"
	input.quiet >= 600
}

stuck if {
	input.agent == "running"
	input.quiet >= 2700
}

no_verdict if {
	input.ci in {"none", "pending", "unknown"}
	input.verdict_wait >= 7200
}
