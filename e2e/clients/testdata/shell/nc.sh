# Pushes with nothing but printf and netcat. The request asks for the connection to be closed, which ends nc.
address=${1#http://}
body='some_metric{tool="nc"} 3.14'
answer=$(printf 'POST /metrics/job/nc_job HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s\n' \
	"$address" $((${#body} + 1)) "$body" | nc "${address%:*}" "${address##*:}")
case $answer in
"HTTP/1.1 200 "*) ;;
*) echo "$answer" >&2 && exit 1 ;;
esac
