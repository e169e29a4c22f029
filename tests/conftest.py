"""Fixtures every test may use come from `tests/support`."""

pytest_plugins = ["tests.support.mongodb", "tests.support.postgres", "tests.support.rabbitmq"]
