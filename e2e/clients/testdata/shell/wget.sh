# Pushes with POST and a string, and with PUT and a file.
wget --no-verbose --output-document=- --post-data='some_metric 3.14
' "$1/metrics/job/wget_job"
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf '# TYPE job_rows gauge\njob_rows 7\n' >"$file"
wget --no-verbose --output-document=- --method=PUT --body-file="$file" "$1/metrics/job/wget_job/instance/i1"
