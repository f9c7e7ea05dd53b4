"""Deletes a group."""
import sys

from prometheus_client import delete_from_gateway

delete_from_gateway(sys.argv[1], job='python_delete', grouping_key={'zone': 'eu'})
