"""Pushes with values that the client has to encode in base64: with a slash, and empty."""
import sys

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway

registry = CollectorRegistry()
Gauge('files_deleted', 'Files that were deleted', registry=registry).set(3.14)
push_to_gateway(sys.argv[1], job='python/base64', registry=registry, grouping_key={'path': '/var/tmp', 'tier': ''})
