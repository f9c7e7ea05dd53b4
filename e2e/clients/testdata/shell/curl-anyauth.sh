# Pushes with basic authentication, of whichever kind is asked for. A string can be sent twice, standard input cannot.
curl --fail-with-body --silent --show-error --anyauth --user team-a:secret --data-binary 'some_metric 3.14
' "$1/metrics/job/curl_anyauth"
