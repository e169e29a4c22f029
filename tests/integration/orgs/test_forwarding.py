"""Events are sent on where that is configured: once each, again where it helps, and without anybody's e-mail."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from emulators.analytics import AnalyticsEmulator
from services.orgs import analytics as module
from services.orgs import destinations
from services.orgs.analytics import Analytics
from tests.integration.orgs.conftest import Orgs


@pytest.fixture
async def emulator() -> AsyncIterator[AnalyticsEmulator]:
    async with AnalyticsEmulator() as made:
        yield made
        assert made.violations == []


@pytest.fixture
async def analytics(
    orgs: Orgs, emulator: AnalyticsEmulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Analytics]:
    monkeypatch.setattr(module, "_PATIENCE", timedelta(0))
    async with destinations.client() as http:
        segment = destinations.Segment(http, "segment-key", emulator.url)
        yield Analytics(orgs.database, [segment, destinations.PostHog(http, "posthog-key", emulator.url + "/")])


async def states(orgs: Orgs, organization: UUID) -> list[str]:
    async with orgs.database.tenant(organization) as connection:
        rows = await connection.fetch("SELECT forward_state FROM orgs.events ORDER BY create_time")
    return [row["forward_state"] for row in rows]


async def test_an_event_reaches_both_with_its_id(orgs: Orgs, analytics: Analytics, emulator: AnalyticsEmulator) -> None:
    organization, user = await orgs.owner()
    first = await analytics.track(organization, user, "opened", {"page": "x", "n": 1.5})
    second = await analytics.track(organization, None, "closed", {})
    while await analytics.forward():
        pass
    assert emulator.segment.keys() == emulator.posthog.keys() == {str(first), str(second)}
    sent = emulator.segment[str(first)]
    assert (sent.user_id, sent.event, sent.properties) == (str(user), "opened", {"page": "x", "n": 1.5})
    assert emulator.posthog[str(second)].distinct_id == str(organization)
    assert emulator.posthog[str(first)].properties["$process_person_profile"] is False
    assert "owner@example.com" not in repr(emulator.segment) + repr(emulator.posthog)
    assert await states(orgs, organization) == ["SENT", "SENT"]


async def test_a_failure_that_passes_is_tried_again_and_another_is_not(
    orgs: Orgs, analytics: Analytics, emulator: AnalyticsEmulator
) -> None:
    organization, user = await orgs.owner()
    await analytics.track(organization, user, "opened", {})
    emulator.fail_next = [503, 200, 429]
    await analytics.forward()  # Segment: 503
    await analytics.forward()  # Segment takes it, PostHog: 429
    assert await states(orgs, organization) == ["WAITING"]
    await analytics.forward()
    assert await states(orgs, organization) == ["SENT"]
    assert (len(emulator.segment), len(emulator.posthog)) == (1, 1)
    emulator.fail_next = [401]
    await analytics.track(organization, user, "opened", {})
    await analytics.forward()
    assert await states(orgs, organization) == ["SENT", "FAILED"]
    assert not await analytics.forward()


async def test_an_event_is_given_up_after_ten_attempts(
    orgs: Orgs, analytics: Analytics, emulator: AnalyticsEmulator
) -> None:
    organization, user = await orgs.owner()
    await analytics.track(organization, user, "opened", {})
    emulator.fail_next = [500] * 20
    for _ in range(10):
        assert await analytics.forward()
    assert not await analytics.forward()
    assert (emulator.requests, await states(orgs, organization)) == (10, ["FAILED"])


async def test_without_a_key_nothing_waits_to_be_sent(orgs: Orgs) -> None:
    organization, user = await orgs.owner()
    quiet = Analytics(orgs.database)
    await quiet.track(organization, user, "opened", {})
    assert await states(orgs, organization) == ["NONE"]
    assert not await quiet.forward()


async def test_events_are_forgotten_when_their_time_is_over(orgs: Orgs) -> None:
    organization, user = await orgs.owner()
    quiet = Analytics(orgs.database)
    await quiet.track(organization, user, "old", {})
    async with orgs.database.tenant(organization) as connection:
        await connection.execute(
            "INSERT INTO orgs.parameters (organization_id, key, config_value, etag) "
            "VALUES ($1, 'retention', '{\"analyticsDays\": 1}', 'e')",
            organization,
        )
        await connection.execute(
            "INSERT INTO orgs.events (organization_id, id, event, properties, forward_state, create_time) "
            "SELECT $1, gen_random_uuid(), 'older', '{}', 'NONE', now() - interval '25 hours'",
            organization,
        )
    await quiet.track(organization, user, "new", {})
    rows = await quiet.metrics(organization, None, None, "event")
    assert sorted(row["name"] for row in rows) == ["new", "old"]
