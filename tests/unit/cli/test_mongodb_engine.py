"""MongoDB from its wheel: a replica set of one that keeps its documents through a kill."""

import pymongo

from cli.engines.mongodb import MongoDbEngine


def test_what_was_written_by_majority_outlives_a_kill(mongodb_engine: MongoDbEngine) -> None:
    with pymongo.MongoClient[dict[str, object]](mongodb_engine.uri, w="majority") as client:
        client.engine.things.insert_one({"_id": 1})
    mongodb_engine.kill()
    assert not mongodb_engine.is_ready()
    mongodb_engine.start()
    with pymongo.MongoClient[dict[str, object]](mongodb_engine.uri) as client:
        assert client.engine.things.find_one() == {"_id": 1}
        client.drop_database("engine")
