"""The three small services, running on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from services.auth import app as auth
from services.llm_gateway import app as llm_gateway
from services.orgs import app as orgs
from tests.support.mesh import RunningMesh, running_mesh
from tests.support.postgres import Database


@pytest.fixture
async def mesh(database: Database) -> AsyncIterator[RunningMesh]:
    roles = {"auth": auth.serve, "orgs": orgs.serve, "llm_gateway": llm_gateway.serve}
    async with running_mesh(database, roles, {"API_ANTHROPIC_API_KEY": "sk-ant-test", "API_GROQ_API_KEY": "g"}) as made:
        yield made
