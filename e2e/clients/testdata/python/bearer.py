"""Pushes with a bearer token, by a handler that adds a header to those of prometheus_client's own."""
import sys

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway
from prometheus_client.exposition import default_handler


def my_token_handler(url, method, timeout, headers, data):
    headers.append(('Authorization', 'Bearer a-token-of-many-letters'))
    return default_handler(url, method, timeout, headers, data)


registry = CollectorRegistry()
g = Gauge('job_last_success_unixtime', 'Last time a batch job successfully finished', registry=registry)
g.set_to_current_time()
push_to_gateway(sys.argv[1], job='python_bearer', registry=registry, handler=my_token_handler)
