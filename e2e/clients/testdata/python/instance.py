"""Pushes with the address of this host as instance, as the documentation of instance_ip_grouping_key shows."""
import sys

from prometheus_client import CollectorRegistry, Gauge, instance_ip_grouping_key, push_to_gateway

registry = CollectorRegistry()
Gauge('job_rows', 'Rows that were copied', registry=registry).set(17)
push_to_gateway(sys.argv[1], job='python_instance', registry=registry, grouping_key=instance_ip_grouping_key())
