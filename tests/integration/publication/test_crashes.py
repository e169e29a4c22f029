"""A process that dies at any step: the next one finishes, and at rest the host shows everything exactly once."""

import random
from dataclasses import dataclass

import pytest

from services.webhooks.publications import Outcome, PublishRequest
from tests.integration.publication.world import CrashAt, World, finding

pytestmark = pytest.mark.parametrize("world", ["github", "gitlab"], indirect=True)
FIRST = (finding("a", 5), finding("b", 31, start=29))
BAD = finding("x", 15)


@dataclass(frozen=True)
class Scene:
    """What is there before the run, what the run posts, and what must be there at rest."""

    name: str
    reviews: int
    comments: tuple[str, ...]
    demoted: int = 0
    until: str = "finish"

    async def prepare(self, world: World) -> PublishRequest:
        head = world.emulator.pull(1).head_sha
        if self.name == "first head":
            return world.run(head, 1, *FIRST)
        if self.name == "first":
            return world.run(head, 1, FIRST[0], BAD)
        assert (await world.publish(world.run(head, 1, *FIRST))).outcome is Outcome.PUBLISHED
        if self.name == "lost database":
            await world.forget()
        await world.emulator.set_head(1, "topic-2")
        head = world.emulator.pull(1).head_sha
        findings = FIRST if self.name == "later without news" else (*FIRST, finding("c", 55))
        return world.run(head, 2, *findings)


SCENES = (
    Scene("first", 1, ("a",), demoted=1),
    Scene("later", 2, ("a", "b", "c")),
    Scene("later without news", 1, ("a", "b")),
    Scene("lost database", 2, ("a", "b", "c"), until="plan"),  # from there on it is like the one before
)


async def check_at_rest(world: World, scene: Scene, request: PublishRequest) -> None:
    result = await world.settle(world.next(request))
    assert result.outcome is Outcome.PUBLISHED and result.demoted == scene.demoted
    assert len(world.shown) == scene.reviews and tuple(world.comments) == scene.comments
    assert world.unseen == 0
    assert world.shown[0].body.startswith(f"## Summary of {request.head_sha[:7]}")
    assert world.shown[0].body.count("Finding x") == scene.demoted
    assert set((await world.effects(request)).values()) == {"POSTED"}


async def again(world: World, scene: Scene) -> PublishRequest:
    """The same scene on an untouched pull request: everything that was posted is gone from host and ledger."""
    world.wipe()
    await world.forget()
    await world.emulator.set_head(1, "topic-1")
    return await scene.prepare(world)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_a_crash_at_any_step(world: World, scene: Scene) -> None:
    steps = CrashAt()
    request = await scene.prepare(world)
    assert (await world.publish(request, steps)).outcome is Outcome.PUBLISHED
    names = steps.names[: steps.names.index(scene.until) + 1]
    assert len(names) >= 3
    for number, name in enumerate(names):
        request = await again(world, scene)
        assert await world.crash(request, number), name
        await check_at_rest(world, scene, request)


async def test_a_crash_after_a_crash(world: World) -> None:
    scene = SCENES[1]
    dice = random.Random(20260304)
    for _ in range(6):
        request = await again(world, scene)
        for _ in range(2):
            await world.crash(request, dice.randrange(18))
            request = world.next(request)
        await check_at_rest(world, scene, request)


async def test_a_push_after_a_crash_leaves_nothing_of_the_old_run(world: World) -> None:
    steps = CrashAt()
    scene = Scene("first head", 1, ("a", "b"))
    await world.publish(await scene.prepare(world), steps)
    for number in range(steps.names.index("create"), len(steps.names)):  # before, the host has nothing
        request = await again(world, scene)
        await world.crash(request, number)
        visible = bool(world.shown)
        await world.emulator.set_head(1, "topic-2")
        result = await world.settle(world.next(request))
        assert result.outcome is (Outcome.PUBLISHED if visible else Outcome.SUPERSEDED)
        assert len(world.shown) == visible and world.unseen == 0
        newer = world.run(world.emulator.pull(1).head_sha, 5, *FIRST)
        assert (await world.settle(newer)).outcome is Outcome.PUBLISHED
        assert len(world.shown) == 1 and world.comments == ["a", "b"]


async def test_another_run_finishes_what_a_dead_one_left(world: World) -> None:
    steps = CrashAt()
    scene = Scene("first head", 1, ("a", "b"))
    await world.publish(await scene.prepare(world), steps)
    for number in range(steps.names.index("create"), len(steps.names)):  # before, the host has nothing
        dead = await again(world, scene)
        await world.crash(dead, number)
        alive = world.run(dead.head_sha, 2, *FIRST, finding("c", 30))
        assert (await world.settle(alive)).outcome is Outcome.PUBLISHED
        assert world.comments == ["a", "b", "c"] and world.unseen == 0
        assert len([review for review in world.shown if review.body.startswith("## Summary")]) == 1
