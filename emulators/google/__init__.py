"""Strict stand-ins for the Gemini API and for Vertex AI; `emulators/README.md` describes their use."""

from emulators.google.emulator import GeminiEmulator
from emulators.google.shapes import GenerateRequest, Knows
from emulators.google.vertex import VertexEmulator

__all__ = ["GeminiEmulator", "GenerateRequest", "Knows", "VertexEmulator"]
