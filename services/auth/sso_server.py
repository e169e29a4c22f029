"""The RPCs of single sign-on: protos to use cases and back."""

from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from lintel.auth.v1 import auth_service_pb2 as auth_pb2
from lintel.auth.v1 import sso_service_pb2 as pb
from lintel.auth.v1 import sso_service_pb2_grpc as sso_grpc

from services.auth.domain import SsoConfiguration
from services.auth.sso import SingleSignOn
from services.auth.sso_configurations import SsoConfigurations, Wanted
from services.kit.rpc.chain import RpcContext
from services.kit.rpc.context import principal
from services.kit.rpc.server import Registered


def register_sso(sso: SingleSignOn, configurations: SsoConfigurations) -> Registered:
    """Answer the service that people sign in by through their identity provider."""
    return Registered(
        sso_grpc.add_SsoServiceServicer_to_server,
        _SsoService(sso, configurations),
        pb.DESCRIPTOR.services_by_name["SsoService"],
    )


class _SsoService(sso_grpc.SsoServiceServicer):
    def __init__(self, sso: SingleSignOn, configurations: SsoConfigurations) -> None:
        self._sso = sso
        self._configurations = configurations

    async def StartSso(self, request: pb.StartSsoRequest, context: RpcContext) -> pb.StartSsoResponse:  # noqa: N802
        organization_id = UUID(request.organization_id) if request.organization_id else None
        url, state = await self._sso.start(organization_id, request.email)
        return pb.StartSsoResponse(authorization_url=url, state=state)

    async def CompleteSso(self, request: pb.CompleteSsoRequest, context: RpcContext) -> auth_pb2.Tokens:  # noqa: N802
        tokens = await self._sso.complete(request.state, request.code, request.error, request.iss)
        return auth_pb2.Tokens(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            token_type="Bearer",  # noqa: S106 - the name of a scheme
            expires_in=tokens.expires_in,
        )

    async def GetSsoConfiguration(  # noqa: N802
        self, request: pb.GetSsoConfigurationRequest, context: RpcContext
    ) -> pb.SsoConfiguration:
        return self._message(await self._configurations.get(principal().organization_id))

    async def UpdateSsoConfiguration(  # noqa: N802
        self, request: pb.UpdateSsoConfigurationRequest, context: RpcContext
    ) -> pb.SsoConfiguration:
        wanted = Wanted(
            issuer=request.issuer,
            client_id=request.client_id,
            client_secret=request.client_secret,
            email_domains=request.email_domains,
            groups_claim=request.groups_claim,
            group_roles=[(entry.group, entry.role) for entry in request.group_roles],
            default_role=request.default_role,
        )
        return self._message(await self._configurations.configure(principal().organization_id, wanted))

    async def DeleteSsoConfiguration(  # noqa: N802
        self, request: pb.DeleteSsoConfigurationRequest, context: RpcContext
    ) -> Empty:
        await self._configurations.forget(principal().organization_id)
        return Empty()

    def _message(self, found: SsoConfiguration) -> pb.SsoConfiguration:
        made = pb.SsoConfiguration(
            issuer=found.issuer,
            client_id=found.client_id,
            client_secret=found.client_secret_mask,
            email_domains=found.email_domains,
            groups_claim=found.groups_claim,
            group_roles=[pb.GroupRole(group=group, role=role) for group, role in found.group_roles],
            default_role=found.default_role,
            redirect_uri=self._configurations.redirect_uri,
        )
        made.update_time.FromDatetime(found.update_time)
        return made
