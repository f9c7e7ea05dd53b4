"""Adds a metric of every type of prometheus_client to a group with a grouping key."""
import sys

from prometheus_client import (
    CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, pushadd_to_gateway)

registry = CollectorRegistry()
c = Counter('my_requests_total', 'HTTP Failures', ['method', 'endpoint'], registry=registry)
c.labels('get', '/').inc()
c.labels(method='post', endpoint='/submit "now"').inc(2.5)
Gauge('my_inprogress_requests', 'Description\nof gauge', registry=registry).set(-4.2e-9)
Summary('request_latency_seconds', 'Description of summary', registry=registry).observe(4.7)
h = Histogram('request_size_bytes', 'Description of histogram', buckets=(0.5, 1, 1000, 2.5e9), registry=registry)
h.observe(4.7)
h.observe(1e12)
i = Info('my_build_version', 'Description of info', registry=registry)
i.info({'version': '1.2.3', 'buildhost': 'foo@bar'})
e = Enum('my_task_state', 'Description of enum', states=['starting', 'running', 'stopped'], registry=registry)
e.state('running')
pushadd_to_gateway(sys.argv[1], job='python_pushadd', registry=registry, grouping_key={'zone': 'eu west', 'shard': 3})
