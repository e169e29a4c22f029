"""The edge and the roles behind it."""

from tests.integration.edge.fixtures import gateway, rest, roles, run_dir, upstream  # noqa: F401
