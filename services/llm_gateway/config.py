"""What the llm_gateway service reads from the environment."""

from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.kit.crypto import CryptoSettings
from services.kit.postgres.settings import DatabaseSettings
from services.llm_gateway.environment import Environment
from services.llm_gateway.prices import Prices, parse_ceiling, parse_overrides
from services.llm_gateway.providers.addresses import Origin, parse_allowed


class LlmGatewaySettings(DatabaseSettings, CryptoSettings):
    """Keys and addresses of model providers that hold for the whole installation."""

    openai_key: SecretStr | None = Field(None, alias="API_OPEN_AI_API_KEY")
    openai_base_url: str | None = Field(None, alias="API_OPENAI_FORCE_BASE_URL")
    anthropic_key: SecretStr | None = Field(None, alias="API_ANTHROPIC_API_KEY")
    google_key: SecretStr | None = Field(None, alias="API_GOOGLE_AI_API_KEY")
    vertex_key: SecretStr | None = Field(None, alias="API_VERTEX_AI_API_KEY")
    vertex_location: str = Field("", alias="API_VERTEX_AI_LOCATION", pattern=r"^([a-z]+(-[a-z]+[0-9]+)?)?$")
    novita_key: SecretStr | None = Field(None, alias="API_NOVITA_AI_API_KEY")
    groq_key: SecretStr | None = Field(None, alias="API_GROQ_API_KEY")
    groq_base_url: str | None = Field(None, alias="API_GROQ_BASE_URL")
    openrouter_key: SecretStr | None = Field(None, alias="API_OPENROUTER_KEY")
    model: str | None = Field(None, alias="API_LLM_PROVIDER_MODEL")
    seconds: float = Field(120.0, alias="LINTEL_MODEL_SECONDS", gt=0, le=900)  # one completion, retries included
    allowed_hosts: str = Field("", alias="LINTEL_ALLOWED_MODEL_HOSTS")
    allow_loopback: bool = Field(False, alias="LINTEL_ALLOW_LOOPBACK_MODELS")  # the embedded profile sets it
    model_prices: str = Field("", alias="LINTEL_MODEL_PRICES")  # JSON, or the path of a file with it
    unknown_price: str = Field("15/75", alias="LINTEL_UNKNOWN_MODEL_PRICE")  # dollars for a million tokens, in/out
    cache_hours: float = Field(0.0, alias="LINTEL_MODEL_CACHE_HOURS", ge=0, le=24 * 7)  # 0: each question is asked anew

    @field_validator("openai_base_url", "groq_base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        try:
            fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine or parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must be http(s)://host[:port][/path], without a user, a query or a fragment")
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise ValueError("ends in /chat/completions; give the address before that, such as http://host:11434/v1")
        return value.rstrip("/")

    @field_validator("allowed_hosts")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        parse_allowed(value)
        return value

    @field_validator("model_prices")
    @classmethod
    def _are_prices(cls, value: str) -> str:
        parse_overrides(value)
        return value

    @field_validator("unknown_price")
    @classmethod
    def _is_price(cls, value: str) -> str:
        parse_ceiling(value)
        return value

    def environment(self) -> Environment:
        """Answer what models the environment makes up."""
        fields = {name: f.alias or name for name, f in type(self).model_fields.items() if name.endswith("_key")}
        secrets = {alias: getattr(self, name) for name, alias in fields.items() if name != "crypto_key"}
        keys = {alias: secret.get_secret_value().strip() for alias, secret in secrets.items() if secret is not None}
        return Environment(
            keys, self.openai_base_url or "", self.groq_base_url or "", self.vertex_location, self.model or ""
        )

    def prices(self) -> Prices:
        """Answer the table of prices."""
        return Prices(parse_overrides(self.model_prices), parse_ceiling(self.unknown_price))

    def allowed(self) -> frozenset[Origin]:
        """Answer the origins that organisations may use beyond public ones."""
        return parse_allowed(self.allowed_hosts)

    @property
    def cache_for(self) -> timedelta:
        """How long an answer to the same question holds."""
        return timedelta(hours=self.cache_hours)
