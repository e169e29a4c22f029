"""What the llm_gateway service reads from the environment."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.kit.config import Settings
from services.llm_gateway.domain import ModelSettings


class LlmGatewaySettings(Settings):
    """Keys and addresses of model providers that hold for the whole installation."""

    openai_key: SecretStr | None = Field(None, alias="API_OPEN_AI_API_KEY")
    openai_base_url: str | None = Field(None, alias="API_OPENAI_FORCE_BASE_URL")
    anthropic_key: SecretStr | None = Field(None, alias="API_ANTHROPIC_API_KEY")
    google_key: SecretStr | None = Field(None, alias="API_GOOGLE_AI_API_KEY")
    vertex_key: SecretStr | None = Field(None, alias="API_VERTEX_AI_API_KEY")
    novita_key: SecretStr | None = Field(None, alias="API_NOVITA_AI_API_KEY")
    groq_key: SecretStr | None = Field(None, alias="API_GROQ_API_KEY")
    openrouter_key: SecretStr | None = Field(None, alias="API_OPENROUTER_KEY")
    model: str | None = Field(None, alias="API_LLM_PROVIDER_MODEL")
    seconds: float = Field(120.0, alias="LINTEL_MODEL_SECONDS", gt=0, le=900)  # one completion, retries included

    @field_validator("openai_base_url")
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

    def given(self) -> frozenset[str]:
        """Answer the names of the variables that are set and configure a provider."""
        others = {"model", "seconds"}
        fields = [(n, f) for n, f in type(self).model_fields.items() if n not in others]
        return frozenset(field.alias or name for name, field in fields if getattr(self, name) is not None)

    def for_choice(self) -> ModelSettings:
        """Answer what the choice of a model is made from."""
        key = self.openai_key.get_secret_value() if self.openai_key else None
        return ModelSettings(self.given(), self.openai_base_url, key, self.model or "")
