# Pushes with a bearer token.
echo "some_metric 3.14" | curl --fail-with-body --silent --show-error --oauth2-bearer a-token-of-many-letters --data-binary @- "$1/metrics/job/curl_bearer"
