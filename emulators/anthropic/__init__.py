"""A strict stand-in for the Anthropic API; `emulators/README.md` describes its use."""

from emulators.anthropic.emulator import AnthropicEmulator
from emulators.anthropic.shapes import Abilities, MessagesRequest

__all__ = ["Abilities", "AnthropicEmulator", "MessagesRequest"]
