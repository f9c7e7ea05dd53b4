# Pushes with basic authentication.
echo "some_metric 3.14" | curl --fail-with-body --silent --show-error --user team-a:secret --data-binary @- "$1/metrics/job/curl_auth"
