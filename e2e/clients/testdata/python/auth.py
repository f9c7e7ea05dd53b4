"""Pushes with basic authentication, as prometheus_client's documentation shows, "Handlers for authentication"."""
import sys

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway
from prometheus_client.exposition import basic_auth_handler


def my_auth_handler(url, method, timeout, headers, data):
    username = 'team-a'
    password = 'secret'
    return basic_auth_handler(url, method, timeout, headers, data, username, password)


registry = CollectorRegistry()
g = Gauge('job_last_success_unixtime', 'Last time a batch job successfully finished', registry=registry)
g.set_to_current_time()
push_to_gateway(sys.argv[1], job='python_auth', registry=registry, handler=my_auth_handler)
