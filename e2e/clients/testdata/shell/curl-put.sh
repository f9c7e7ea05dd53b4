# Replaces a group with a file, compressed.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf '# TYPE job_rows gauge\njob_rows{table="a"} 1\njob_rows{table="b"} 2\n' | gzip >"$file"
curl --fail-with-body --silent --show-error --header 'Content-Encoding: gzip' --upload-file "$file" "$1/metrics/job/curl_put"
