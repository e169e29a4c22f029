"""Which document store, if any: MONGODB_URI, or the parts of it as the install document names them."""

from typing import Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from services.kit.config import Settings

DATABASE = "lintel"  # where the URI names none


class DocumentSettings(Settings):
    """How to reach MongoDB; MONGODB_URI wins over the parts. Without either, artefacts are kept in Postgres."""

    mongodb_uri: SecretStr | None = Field(None, alias="MONGODB_URI")
    mongodb_host: str | None = Field(None, alias="API_MG_DB_HOST")
    mongodb_port: int = Field(27017, alias="API_MG_DB_PORT", ge=1, le=65535)
    mongodb_username: str | None = Field(None, alias="API_MG_DB_USERNAME")
    mongodb_password: SecretStr = Field(SecretStr(""), alias="API_MG_DB_PASSWORD")
    mongodb_database: str = Field(DATABASE, alias="API_MG_DB_DATABASE")

    @field_validator("mongodb_uri")
    @classmethod
    def _is_mongodb(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must begin with mongodb:// or mongodb+srv:// (its value is not shown)")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.mongodb_host is not None and "://" in self.mongodb_host:
            raise ValueError("API_MG_DB_HOST is a host name; a whole URI goes to MONGODB_URI")
        return self

    @property
    def documents_uri(self) -> str | None:
        """The connection string, None where artefacts are kept in Postgres; a secret, as it may hold the password."""
        if self.mongodb_uri is not None:
            return self.mongodb_uri.get_secret_value()
        if self.mongodb_host is None:
            return None
        login, source = "", ""
        if self.mongodb_username:
            password = quote(self.mongodb_password.get_secret_value(), safe="")
            login = f"{quote(self.mongodb_username, safe='')}:{password}@"
            source = "?authSource=admin"  # where MongoDB's own image makes its user
        host = quote(self.mongodb_host, safe=":[]")
        return f"mongodb://{login}{host}:{self.mongodb_port}/{quote(self.mongodb_database, safe='')}{source}"
