"""Users of an organisation as an owner asks for them."""

from collections.abc import Iterator

from google.protobuf.empty_pb2 import Empty
from lintel.auth.v1 import auth_service_pb2 as auth_pb2
from lintel.orgs.v1 import user_service_pb2 as pb

from client.connection import Connection

PAGE = 200


class UserClient(Connection):
    """A connection with the calls around users. Each raises RefusedError and UnavailableError."""

    def users(self) -> Iterator[pb.User]:
        """Yield every user of the organisation, oldest first."""
        request = pb.ListUsersRequest(page_size=PAGE)
        while True:
            answer = self.call("lintel.orgs.v1.UserService.ListUsers", request, pb.ListUsersResponse)
            yield from answer.users
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def password_reset_link(self, email: str) -> auth_pb2.CreatePasswordResetLinkResponse:
        """Make a link by which a user sets a new password; one made before stops working."""
        return self.call(
            "lintel.auth.v1.AuthService.CreatePasswordResetLink",
            auth_pb2.CreatePasswordResetLinkRequest(email=email),
            auth_pb2.CreatePasswordResetLinkResponse,
        )

    def set_password(self, token: str, password: str) -> None:
        """Set a password by the token of such a link."""
        self.call(
            "lintel.auth.v1.AuthService.ResetPassword",
            auth_pb2.ResetPasswordRequest(token=token, password=password),
            Empty,
        )
