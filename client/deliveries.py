"""Deliveries and dead letters as an operator asks for them: look, and have handled again."""

from collections.abc import Iterator

from lintel.webhooks.v1 import delivery_service_pb2 as pb

from client.connection import Connection

PAGE = 200
_SERVICE = "lintel.webhooks.v1.DeliveryService."


class DeliveryClient(Connection):
    """A connection with the calls of webhook health. Each raises RefusedError and UnavailableError."""

    def health(self) -> Iterator[pb.RepositoryHealth]:
        """Yield every repository with when it was last heard of and what goes wrong."""
        request = pb.GetWebhookHealthRequest(page_size=PAGE)
        while True:
            answer = self.call(_SERVICE + "GetWebhookHealth", request, pb.GetWebhookHealthResponse)
            yield from answer.repositories
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def deliveries(self, *, state: str = "unspecified", host: str = "", repository: str = "") -> Iterator[pb.Delivery]:
        """Yield deliveries, newest first, asking for more only as far as they are taken; `state` as JSON names it."""
        wanted = pb.DeliveryState.Value(f"DELIVERY_STATE_{state.upper()}")
        request = pb.ListDeliveriesRequest(page_size=PAGE, state=wanted, host=host, repository=repository)
        while True:
            answer = self.call(_SERVICE + "ListDeliveries", request, pb.ListDeliveriesResponse)
            yield from answer.deliveries
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def delivery(self, delivery_id: str) -> pb.Delivery:
        """Answer one delivery."""
        return self.call(_SERVICE + "GetDelivery", pb.GetDeliveryRequest(id=delivery_id), pb.Delivery)

    def redeliver(self, delivery_id: str) -> pb.Delivery:
        """Have a delivery handled again."""
        return self.call(_SERVICE + "RedeliverDelivery", pb.RedeliverDeliveryRequest(id=delivery_id), pb.Delivery)

    def dead_letters(self) -> Iterator[pb.DeadLetter]:
        """Yield what nobody could handle, newest first."""
        request = pb.ListDeadLettersRequest(page_size=PAGE)
        while True:
            answer = self.call(_SERVICE + "ListDeadLetters", request, pb.ListDeadLettersResponse)
            yield from answer.dead_letters
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def replay(self, letter_id: str) -> pb.DeadLetter:
        """Have a dead letter handled again."""
        return self.call(_SERVICE + "ReplayDeadLetter", pb.ReplayDeadLetterRequest(id=letter_id), pb.DeadLetter)
