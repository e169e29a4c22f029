"""lintel.orgs.v1.AnalyticsService: events of people, counted."""

from lintel.orgs.v1 import analytics_service_pb2 as pb
from lintel.orgs.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.timestamps import moment
from services.orgs.analytics import Analytics
from services.orgs.messages import visible
from services.orgs.structs import plain

_GROUPS = {pb.METRICS_GROUP_DAY: "day", pb.METRICS_GROUP_USER: "user"}


class AnalyticsServer(AnalyticsServiceServicer):
    """Everybody's events go in; counts come out."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def TrackEvent(self, request: pb.TrackEventRequest, context: RpcContext) -> pb.TrackEventResponse:  # noqa: N802
        """Record an event of the caller."""
        who = principal()
        made = await self._analytics.track(
            *(who.organization_id, who.user_id, visible(request.event, "event")),
            plain(request.properties, "properties"),
        )
        return pb.TrackEventResponse(id=str(made))

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: RpcContext) -> pb.GetMetricsResponse:  # noqa: N802
        """Count events of the organisation."""
        rows = await self._analytics.metrics(
            principal().organization_id,
            moment("from_time", request.from_time),
            moment("to_time", request.to_time, whole_day=True),
            _GROUPS.get(request.group_by, "event"),
        )
        return pb.GetMetricsResponse(
            metrics=[pb.Metric(group=row["name"], count=row["count"], users=row["users"]) for row in rows]
        )
