"""Pushes one series twice, from a custom collector as the documentation shows: a push that is at fault."""
import sys

from prometheus_client import CollectorRegistry, push_to_gateway
from prometheus_client.core import GaugeMetricFamily


class CustomCollector:
    def collect(self):
        g = GaugeMetricFamily('my_gauge', 'Help text', labels=['foo'])
        g.add_metric(['bar'], 1.7)
        g.add_metric(['bar'], 3.8)
        yield g


registry = CollectorRegistry()
registry.register(CustomCollector())
push_to_gateway(sys.argv[1], job='python_duplicate', registry=registry)
