"""Two organisations with everything in them, a caller of each role, and one running system."""

import itertools
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import httpx2

from gateway import app as gateway
from gateway.config import GatewayConfig
from services.auth.api_keys import ApiKeys
from services.auth.domain import Owner
from services.auth.store import ApiKeyStore
from services.kit.config import load
from services.kit.ids import new_id
from services.kit.postgres.pool import Database as Pool
from services.roles import ROLES
from tests.support.mesh import RunningMesh, running_mesh
from tests.support.postgres import Database
from tests.support.system import ANY_PORT

ACCESS_ROLES = ("owner", "billing_manager", "repo_admin", "contributor")
ASSIGNED, UNASSIGNED = "1", "2"  # ids of repositories on the host; the limited roles are assigned to the first
DIFF = "diff --git a/x.py b/x.py\nnew file mode 100644\n--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+x = 1\n"
_WORKERS = ("webhooks_worker", "review_worker", "gateway")

Make = Callable[["World", "Side"], Awaitable[Any]]


@dataclass
class Side:
    """An organisation; every text in it holds its mark, so that it is recognised wherever it turns up."""

    organization_id: UUID
    mark: str
    users: dict[str, UUID] = field(default_factory=dict)
    repository: str = ASSIGNED
    team: UUID | None = None  # the one made last, for whoever is to be in it


@dataclass
class World:
    """What the table is tried on."""

    mesh: RunningMesh
    db: "asyncpg.Pool[asyncpg.Record]"
    rest: httpx2.AsyncClient
    edge: grpc.aio.Channel
    url: str  # of gRPC, as the command line is given it
    keys: ApiKeys
    own: Side
    foreign: Side
    counter: "itertools.count[int]" = field(default_factory=itertools.count)

    def channel(self, rpc: str) -> grpc.aio.Channel:
        """Answer the way to an RPC: the edge, but for uploads the role itself, as Envoy would.

        Where a role refuses at once while an upload is still written, grpc.aio's client (1.85) now and then reports an
        internal error of its own instead of the refusal; in the edge's proxy, too.
        """
        return self.mesh.public("review") if rpc == "review.v1.LocalReviewService/UploadSource" else self.edge

    @property
    def as_local(self) -> dict[str, str]:
        """The headers of the installation's own key, role owner."""
        return {"Authorization": f"Bearer {self.mesh.local.key}"}

    async def key(self, side: Side, role: str, *scopes: str, user_id: UUID | None = None) -> str:
        """Make an API key of the organisation's user of a role, or of another user."""
        owner = Owner(side.organization_id, user_id) if user_id else self.owner(side, role)
        _, key = await self.keys.create(owner, role, f"a key of {side.mark}", scopes, None)
        return key

    def owner(self, side: Side, role: str) -> Owner:
        """Answer the organisation's user of a role as auth names them."""
        return Owner(side.organization_id, side.users[role])

    async def request(self, template: Any, side: Side, role: str) -> Any:
        """Fill a request in: each `{thing}` becomes one that has just been made in the organisation."""
        if isinstance(template, dict):
            return {name: await self.request(value, side, role) for name, value in template.items()}
        if isinstance(template, list):
            return [await self.request(value, side, role) for value in template]
        if isinstance(template, str) and template.startswith("{"):
            name = template.strip("{}")
            if name == "self":
                return str(side.users[role])
            if name == "api_key":
                made, _ = await self.keys.create(self.owner(side, role), role, f"a key of {side.mark}", (), None)
                return str(made.id)
            return await THINGS[name](self, side)
        return template

    async def user(self, side: Side, role: str = "contributor") -> UUID:
        """Make a member."""
        made = new_id()
        await self.db.execute(
            "INSERT INTO orgs.members (organization_id, user_id, email, name, role) VALUES ($1, $2, $3, $4, $5)",
            *(side.organization_id, made, f"{made}@{side.mark}.example", f"{side.mark} {role}", role),
        )
        return made

    async def run(self, side: Side, state: str) -> UUID:
        """Make a review of a pull request of its own."""
        pull_request, made = new_id(), new_id()
        await self.db.execute(
            "INSERT INTO review.pull_requests (id, organization_id, host, host_repository_id, repository, number) "
            "VALUES ($1, $2, 'github', $3, $4, $5)",
            *(pull_request, side.organization_id, side.repository, f"{side.mark}/{side.repository}"),
            next(self.counter),
        )
        await self.db.execute(
            "INSERT INTO review.runs (id, organization_id, pull_request_id, head_sha, base_ref, state, finish_time, "
            "receipt) VALUES ($1, $2, $3, $4, 'main', $5, CASE WHEN $5 = 'PUBLISHED' THEN now() END, "
            "CASE WHEN $5 = 'PUBLISHED' THEN '{}'::jsonb END)",
            *(made, side.organization_id, pull_request, "a" * 40, state),
        )
        return made


async def _team(world: World, side: Side) -> str:
    made = new_id()
    await world.db.execute(
        "INSERT INTO orgs.teams (organization_id, id, name) VALUES ($1, $2, $3)",
        *(side.organization_id, made, f"{side.mark} {made}"),
    )
    side.team = made
    return str(made)


async def _team_member(world: World, side: Side) -> str:
    made = await world.user(side)
    await world.db.execute(
        "INSERT INTO orgs.team_members (organization_id, team_id, user_id) VALUES ($1, $2, $3)",
        *(side.organization_id, side.team, made),
    )
    return str(made)


async def _user(world: World, side: Side) -> str:
    return str(await world.user(side))


async def _invitation(world: World, side: Side) -> str:
    made = new_id()
    await world.db.execute(
        "INSERT INTO orgs.invitations (organization_id, id, email, role, token_sha256, inviter, expire_time) "
        "VALUES ($1, $2, $3, 'contributor', $4, '', now() + interval '1 day')",
        *(side.organization_id, made, f"{made}@{side.mark}.example", sha256(made.bytes).digest()),
    )
    return str(made)


async def _parameter(world: World, side: Side) -> str:
    await world.db.execute(
        "INSERT INTO orgs.parameters (organization_id, key, config_value, etag) "
        "VALUES ($1, 'retention', '{\"analyticsDays\": 5}', 'e') ON CONFLICT DO NOTHING",
        side.organization_id,
    )
    return "retention"


async def _review(world: World, side: Side) -> str:
    return str(await world.run(side, "PUBLISHED"))


async def _running_review(world: World, side: Side) -> str:
    return str(await world.run(side, "QUEUED"))


async def _delivery(world: World, side: Side) -> str:
    made = new_id()
    await world.db.execute(
        "INSERT INTO webhooks.deliveries (id, organization_id, host, host_delivery_id, event, headers, body, state) "
        "VALUES ($1, $2, 'github', $3, 'pull_request', '{}', '{}', 'FAILED')",
        *(made, side.organization_id, f"{side.mark} {made}"),
    )
    return str(made)


async def _text(world: World, side: Side) -> str:
    return f"{side.mark} {next(world.counter)}"


async def _email(world: World, side: Side) -> str:
    return f"new{next(world.counter)}@{side.mark}.example"


async def _diff(world: World, side: Side) -> str:
    return DIFF


async def _diff_bytes(world: World, side: Side) -> str:
    return b64encode(DIFF.encode()).decode()


THINGS: Mapping[str, Make] = {
    "team": _team,  # before `team_member`, who is in it
    "team_member": _team_member,
    "user": _user,
    "invitation": _invitation,
    "parameter": _parameter,
    "review": _review,
    "running_review": _running_review,
    "delivery": _delivery,
    "name": _text,
    "email": _email,
    "diff": _diff,
    "diff_bytes": _diff_bytes,
}


@asynccontextmanager
async def running_world(database: Database) -> AsyncIterator[World]:
    """Run every service and the edge on a database with two organisations."""
    services = {name: role.serve for name, role in ROLES.items() if name not in _WORKERS}
    async with (
        running_mesh(database, services, {"LINTEL_ALLOWED_MODEL_HOSTS": "http://127.0.0.1:9"}) as mesh,
        gateway.running(load(GatewayConfig, {"LINTEL_RUN_DIR": str(mesh.mesh.addresses.run_dir), **ANY_PORT})) as edge,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{edge.port}", trust_env=False, timeout=30) as rest,
        asyncpg.create_pool(database.owner_dsn, min_size=0, max_size=3) as db,
        Pool(database.app_dsn, "auth", max_size=2) as pool,
        grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel,
    ):
        own, foreign = Side(mesh.local.organization_id, "ours"), Side(new_id(), "theirs")
        world = World(
            mesh, db, rest, channel, f"http://127.0.0.1:{edge.grpc_port}", ApiKeys(ApiKeyStore(pool)), own, foreign
        )
        await db.execute(
            "INSERT INTO orgs.organizations (organization_id, name) VALUES ($1, 'theirs')", foreign.organization_id
        )
        for side in (own, foreign):
            for role in ACCESS_ROLES:
                side.users[role] = await world.user(side, role)
                await db.execute(
                    "INSERT INTO orgs.repository_assignments (organization_id, user_id, repository_id) "
                    "VALUES ($1, $2, $3)",
                    *(side.organization_id, side.users[role], f"github:{ASSIGNED}"),
                )
            for name, make in THINGS.items():
                if name not in ("diff", "diff_bytes"):
                    await make(world, side)
        await world.run(replace(own, repository=UNASSIGNED), "PUBLISHED")
        yield world
