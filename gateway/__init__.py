"""The edge: REST derived from the protos, webhooks, health, documentation, and gRPC where no proxy stands in front."""

import services  # noqa: F401 - puts the generated protobuf code on the path
