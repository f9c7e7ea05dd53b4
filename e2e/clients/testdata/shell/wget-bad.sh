# Pushes a value with a decimal comma on the second line: a push that is at fault.
wget --no-verbose --content-on-error --output-document=- --post-data='job_rows 1
job_seconds 1,5
' "$1/metrics/job/wget_bad"
