"""Every RPC × role × own, foreign and no organisation, through gRPC and through REST, on one running system."""

import re
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.kit.ids import new_id
from tests.contract.access.transports import METHODS, OK, RULES, by_grpc, by_rest
from tests.contract.access.world import ACCESS_ROLES, THINGS, UNASSIGNED, Side, World

FILE = Path(__file__).with_name("expected.toml")
EXPECTED: Mapping[str, Any] = tomllib.loads(FILE.read_text())
LIMITED = ("repo_admin", "contributor")  # to the repositories they are assigned to, but for webhook health
DENIED, MISSING, NOBODY = "PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED"
# Things that are there already and belong to somebody; the others are made up for the request.
CALLERS_OWN = {"self", "api_key"}
BELONGING = THINGS.keys() - {"name", "email", "parameter", "diff", "diff_bytes"} | CALLERS_OWN
_THING = re.compile(r"\{([a-z_]+)\}")

Send = Callable[[Any, str | None], Awaitable[tuple[str, str]]]


def test_every_rpc_has_an_entry_and_every_entry_an_rpc() -> None:
    told = "".join(
        f'\n\n["{name}"]\nmay = [...] # of {", ".join(ACCESS_ROLES)}\nwrites = true # if it changes something'
        '\nrequest = { id = "{thing}" } # a request that succeeds; world.py makes the things'
        for name in sorted(METHODS.keys() - EXPECTED.keys())
    )
    assert not told, f"\nAdd to {FILE}, under the row of contract section 9 that it belongs to:{told}"
    assert sorted(EXPECTED.keys() - METHODS.keys()) == [], f"entries of {FILE} without an RPC"


def test_entries_say_what_the_key_of_the_file_says() -> None:
    for name, row in EXPECTED.items():
        allowed = {"open", "result", "request"} if row.get("open") else {"may", "writes", "request", "result", *_MORE}
        assert row.keys() <= allowed, name
        assert row.get("open") or row["may"], name
        assert set(row.get("may", ())) | set(row.get("unassigned", ())) <= set(ACCESS_ROLES), name
        assert things(row.get("request", {})) <= THINGS.keys() | CALLERS_OWN, name


_MORE = ("foreign", "unassigned", "other")


@dataclass(frozen=True)
class Case:
    """One cell of the table."""

    rpc: str
    role: str
    whose: str
    request: Any
    expected: str


def cases(world: World) -> Iterator[tuple[Case, Side]]:
    """Yield every cell of the table with the organisation that its things are from."""
    elsewhere = replace(world.own, repository=UNASSIGNED)
    for rpc, row in EXPECTED.items():
        if rpc not in METHODS:
            continue
        request, ends = row.get("request", {}), row.get("result", OK)
        for role in () if row.get("open") else ACCESS_ROLES:
            may = role in row["may"]
            yield Case(rpc, role, "own", request, ends if may else DENIED), world.own
            if things(request) & BELONGING:
                foreign = row.get("foreign", MISSING)
                foreign = foreign.get(role, DENIED) if isinstance(foreign, dict) else foreign
                yield Case(rpc, role, "foreign", request, foreign if may else DENIED), world.foreign
            if role in row.get("unassigned", ()):
                yield Case(rpc, role, "unassigned", request, MISSING), elsewhere
            if role in row.get("other", {}):
                yield Case(rpc, role, "other", row["other"][role], DENIED), world.own
        for whose in ("nobody", "garbage", "no member"):
            yield Case(rpc, whose, "none", request, ends if row.get("open") else NOBODY), world.own


async def test_the_table(world: World) -> None:
    wrong, count = [], 0
    credentials = await callers(world)
    marks = (world.foreign.mark, str(world.foreign.organization_id))
    for case, side in cases(world):
        for transport in ("grpc", "rest") if case.rpc in RULES else ("grpc",):  # REST has no client streams
            user = case.role if case.role in ACCESS_ROLES else "owner"
            request = await world.request(case.request, side, user)
            send = by_grpc if transport == "grpc" else by_rest
            target: Any = world.channel(case.rpc) if transport == "grpc" else world.rest
            ended, answer = await send(target, case.rpc, request, credentials[transport, case.role])
            count += 1
            if ended != case.expected:
                wrong.append(f"{transport} {case.rpc} {case.role} {case.whose}: {ended}, not {case.expected}")
            if case.whose != "foreign" and any(mark in answer for mark in marks):
                wrong.append(f"{transport} {case.rpc} {case.role} {case.whose}: tells of another organisation")
            if case.role in LIMITED and f"{world.own.mark}/{UNASSIGNED}" in answer:
                wrong.append(f"{transport} {case.rpc} {case.role} {case.whose}: tells of a repository not assigned")
    print(f"{len(METHODS)} RPCs, {count} cells")
    assert not wrong, "\n".join(["", *wrong])
    assert count > 8 * len(METHODS)


async def callers(world: World) -> dict[tuple[str, str], str | None]:
    """Make a credential for each transport and caller, so that none comes to the rate of one."""
    made: dict[tuple[str, str], str | None] = {}
    for transport in ("grpc", "rest"):
        for role in ACCESS_ROLES:
            made[transport, role] = await world.key(world.own, role)
        made[transport, "nobody"] = None
        made[transport, "garbage"] = "lintel_" + "x" * 43
        made[transport, "no member"] = await world.key(world.own, "owner", user_id=new_id())
    return made


def things(request: Any) -> set[str]:
    """Answer the names of the things that a request needs."""
    return set(_THING.findall(str(request)))
