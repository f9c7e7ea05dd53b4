# Pushes a value with a decimal comma on the second line: a push that is at fault.
printf 'job_rows 1\njob_seconds 1,5\n' | curl --fail-with-body --silent --show-error --data-binary @- "$1/metrics/job/curl_bad"
