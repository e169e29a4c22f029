"""What the llm_gateway service reads from the environment."""

from pydantic import Field, SecretStr

from services.kit.config import Settings


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

    def given(self) -> frozenset[str]:
        """Answer the names of the variables that are set."""
        fields = type(self).model_fields.items()
        return frozenset(field.alias or name for name, field in fields if getattr(self, name) is not None)
