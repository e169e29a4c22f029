"""Which store: the MongoDB that the environment names, or tables beside the rows that decide."""

from services.kit.artefacts.artefacts import Artefacts
from services.kit.artefacts.mongodb import MongoChunks
from services.kit.artefacts.postgres import PostgresChunks
from services.kit.artefacts.settings import DocumentSettings
from services.kit.postgres.pool import Database


def choose_artefacts(settings: DocumentSettings, database: Database, schema: str) -> Artefacts:
    """Answer the artefacts of a service; close them before `database`. Raises ConfigError for an unusable URI."""
    uri = settings.documents_uri
    return Artefacts(PostgresChunks(database, schema) if uri is None else MongoChunks(uri))
