# Deletes a group as the Pushgateway's README shows.
curl --fail-with-body --silent --show-error -X DELETE "$1/metrics/job/curl_delete/instance/some_instance"
