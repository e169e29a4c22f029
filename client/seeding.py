"""What a new installation needs, asked for by its operator."""

from collections.abc import Mapping

from google.protobuf import json_format
from lintel.auth.v1 import auth_service_pb2 as auth_pb
from lintel.orgs.v1 import parameter_service_pb2 as pb
from lintel.orgs.v1 import role_pb2, user_service_pb2

from client.users import UserClient

_PARAMETERS = "lintel.orgs.v1.ParameterService."


class SeedClient(UserClient):
    """A connection with the calls of seeding. Each raises RefusedError and UnavailableError."""

    def parameter_keys(self) -> set[str]:
        """Answer which parameters are set."""
        request = pb.ListParametersRequest(page_size=200)
        answer = self.call(_PARAMETERS + "ListParameters", request, pb.ListParametersResponse)
        return {parameter.key for parameter in answer.parameters}

    def set_parameter(self, key: str, value: Mapping[str, object]) -> None:
        """Set a parameter."""
        request = pb.SetParameterRequest(key=key)
        json_format.ParseDict(dict(value), request.config_value)
        self.call(_PARAMETERS + "SetParameter", request, pb.Parameter)

    def register(self, email: str, password: str, name: str) -> None:
        """Make the first user, who owns the organisation."""
        request = auth_pb.RegisterRequest(email=email, password=password, name=name)
        self.call("lintel.auth.v1.AuthService.Register", request, auth_pb.RegisterResponse)

    def invite_owner(self, email: str) -> user_service_pb2.InviteUserResponse:
        """Invite somebody to be an owner."""
        request = user_service_pb2.InviteUserRequest(email=email, role=role_pb2.ROLE_OWNER)
        return self.call("lintel.orgs.v1.UserService.InviteUser", request, user_service_pb2.InviteUserResponse)
