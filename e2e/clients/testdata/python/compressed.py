"""Pushes with gzip: by the parameter that newer versions have, and by a handler of one's own in those without it."""
import gzip
import inspect
import sys

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway
from prometheus_client.exposition import default_handler


def gzip_handler(url, method, timeout, headers, data):
    return default_handler(url, method, timeout, headers + [('Content-Encoding', 'gzip')], gzip.compress(data))


registry = CollectorRegistry()
Gauge('job_rows', 'Rows that were copied', registry=registry).set(42)
if 'compression' in inspect.signature(push_to_gateway).parameters:
    push_to_gateway(sys.argv[1], job='python_gzip', registry=registry, compression='gzip')
else:
    push_to_gateway(sys.argv[1], job='python_gzip', registry=registry, handler=gzip_handler)
