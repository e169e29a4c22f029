"""Which database: DATABASE_URL, or the parts of it as the install document names them."""

from typing import Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from services.kit.config import Settings


class DatabaseSettings(Settings):
    """How to reach Postgres; DATABASE_URL wins over the parts."""

    database_url: SecretStr | None = Field(None, alias="DATABASE_URL")
    database_host: str | None = Field(None, alias="API_PG_DB_HOST")
    database_port: int = Field(5432, alias="API_PG_DB_PORT", ge=1, le=65535)
    database_username: str = Field("lintel", alias="API_PG_DB_USERNAME")
    database_password: SecretStr = Field(SecretStr(""), alias="API_PG_DB_PASSWORD")
    database_name: str = Field("lintel", alias="API_PG_DB_DATABASE")
    database_ssl: bool = Field(False, alias="API_PG_DB_SSL")
    database_pool_max: int = Field(25, alias="API_PG_DB_POOL_MAX", ge=1, le=1000)  # connections of one service

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql:// (its value is not shown, as it may hold a password)")
        return value

    @model_validator(mode="after")
    def _is_given(self) -> Self:
        if self.database_url is None and self.database_host is None:
            raise ValueError("DATABASE_URL (or API_PG_DB_HOST and the other parts) is needed and not set")
        return self

    @property
    def dsn(self) -> str:
        """The connection string; a secret, as it may hold the password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        password = self.database_password.get_secret_value()
        login = quote(self.database_username, safe="") + (f":{quote(password, safe='')}" if password else "")
        ssl = "?sslmode=require" if self.database_ssl else ""
        host = quote(self.database_host or "", safe=":[]")
        return f"postgresql://{login}@{host}:{self.database_port}/{quote(self.database_name, safe='')}{ssl}"
