# Pushes with basic authentication. wget sends the password only once it is asked for it.
wget --no-verbose --output-document=- --user=team-a --password=secret --post-data='some_metric 3.14
' "$1/metrics/job/wget_auth"
