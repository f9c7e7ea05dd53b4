"""Pushes as prometheus_client's documentation shows, "Exporting to a Pushgateway"."""
import sys

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway

registry = CollectorRegistry()
g = Gauge('job_last_success_unixtime', 'Last time a batch job successfully finished', registry=registry)
g.set_to_current_time()
push_to_gateway(sys.argv[1], job='python_push', registry=registry)
