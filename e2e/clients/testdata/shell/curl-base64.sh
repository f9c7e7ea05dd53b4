# Pushes as the Pushgateway's README shows, "base64": the job is directory-cleaner, the path /var/tmp.
echo 'some_metric{foo="bar"} 3.14' | curl --fail-with-body --silent --show-error --data-binary @- \
	"$1/metrics/job@base64/ZGlyZWN0b3J5LWNsZWFuZXI/path@base64/L3Zhci90bXA"
