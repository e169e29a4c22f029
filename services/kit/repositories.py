"""How a repository is named where people are assigned to it: by its host and the host's stable id, not by its name."""


def repository_id(host: str, host_repository_id: str, connection_id: str = "") -> str:
    """Answer the id of a repository: `github:1296269`, or `github:<connection>:1296269` of a connection of its own.

    A name can be given to another repository, which must not bring the access to this one along; an id can't.
    """
    return ":".join(part for part in (host, connection_id, host_repository_id) if part)
