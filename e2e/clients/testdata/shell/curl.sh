# Pushes as the Pushgateway's README shows, "Command line".
echo "some_metric 3.14" | curl --fail-with-body --silent --show-error --data-binary @- "$1/metrics/job/curl_job"
cat <<EOF | curl --fail-with-body --silent --show-error --data-binary @- "$1/metrics/job/curl_job/instance/some_instance"
# TYPE some_events_total counter
some_events_total{label="val1"} 42
# TYPE another_metric gauge
# HELP another_metric Just an example.
another_metric 2398.283
EOF
