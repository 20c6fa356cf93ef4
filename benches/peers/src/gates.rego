# The eight gates of the shipped policy: the first that fires, and no trace, which is the least work.
package afk

default fired := -1

fired := 0 if not data.allowlist[input.repo]
else := 1 if held
else := 2 if input.has_run
else := 3 if input.in_flight_in_repo >= 1
else := 4 if not input.trusted
else := 5 if input.already_run
else := 6 if input.edited_since_armed
else := 7 if count(input.open_blockers) > 0

held if "ready-for-human" in input.labels

held if "paused" in input.labels
